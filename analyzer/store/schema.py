"""The tables. Times are Unix seconds; JSON is kept as text, byte for byte as it was written.

`METADATA` is the schema as this version wants it; `analyzer.store.migrations` brings a database there.
"""

from sqlalchemy import (
    BigInteger,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)

METADATA = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)

LARGE = BigInteger().with_variant(Integer(), "sqlite")  # SQLite's integers are of 64 bits, whatever they are called

ANALYSES = Table(
    "analyses",
    METADATA,
    Column("id", String(64), primary_key=True),
    Column("key", String(255), nullable=False),  # who orders with the same key again gets this analysis
    Column("namespace", String(255), nullable=False),
    Column("kind", String(63), nullable=False),  # of the target: helm, command, …
    Column("name", String(255), nullable=False),  # of the target
    Column("ordered", Text, nullable=False),  # JSON of what was ordered, opaque here
    Column("state", String(15), nullable=False),  # running, ended
    Column("verdict", String(31), nullable=False),
    Column("action", String(31), nullable=False),
    Column("result", String(31), nullable=False),
    Column("held_by", String(31), nullable=False),
    Column("reason", Text, nullable=False),
    Column("created_at", Double, nullable=False),
    Column("ended_at", Double),
    Column("changed_at", Double, nullable=False),
    Column("last_seq", Integer, nullable=False),  # of its events; 0: none yet
    Column("position", LARGE, nullable=False),  # of its last change among all changes
    Column("lease_owner", String(255)),
    Column("lease_until", Double),
    Column("lease", LARGE, nullable=False),  # one more with each claim: what fences an old owner's writes
    Column("asked", Text),  # JSON of a decision by hand that nobody has carried out yet
    UniqueConstraint("key"),
    Index(None, "created_at", "id"),
    Index(None, "namespace", "name", "kind", "created_at"),
    Index(None, "state", "lease_until"),
    Index(None, "ended_at", "id"),
    Index(None, "position"),
    Index(None, "lease_owner"),
)

EVENTS = Table(
    "events",
    METADATA,
    Column("analysis_id", String(64), ForeignKey("analyses.id"), primary_key=True),
    Column("seq", Integer, primary_key=True, autoincrement=False),  # 1, 2, 3, … without a gap
    Column("at", Double, nullable=False),
    Column("body", Text, nullable=False),
)

AUDIT = Table(
    "audit",
    METADATA,
    Column("seq", LARGE, primary_key=True, autoincrement=True),
    Column("at", Double, nullable=False),
    Column("who", Text, nullable=False),
    Column("what", String(63), nullable=False),
    Column("analysis_id", String(64), nullable=False),  # empty where it is about none; outlives the analysis
    Column("detail", Text, nullable=False),
    Index(None, "analysis_id", "seq"),
    Index(None, "at"),
    sqlite_autoincrement=True,  # a number is never given twice, also after the newest rows were removed
)

COUNTERS = Table(
    "counters",
    METADATA,
    Column("name", String(31), primary_key=True),
    Column("value", LARGE, nullable=False),
)

CHANGES = "changes"
"""The counter of positions: whoever raises it holds it until the end of its transaction, so that positions become
visible in their order."""

SWITCHES = Table(
    "switches",
    METADATA,
    Column("name", String(31), primary_key=True),
    Column("value", String(31), nullable=False),
    Column("who", Text, nullable=False),
    Column("why", Text, nullable=False),
    Column("at", Double, nullable=False),
)

ACTS = Table(
    "acts",
    METADATA,
    Column("analysis_id", String(64), primary_key=True),  # outlives the analysis
    Column("attempt", Integer, primary_key=True, autoincrement=False),
    Column("at", Double, nullable=False),
    Column("namespace", String(255), nullable=False),
    Column("kind", String(31), nullable=False),  # of the act: rollback, abort, …
    Column("target", Text, nullable=False),
    Index(None, "at"),
)

TAKEN = "taken"
"""The counter that is raised with each question for an act: whoever raises it counts alone."""

RULE_SETS = Table(
    "rule_sets",
    METADATA,
    Column("name", String(100), primary_key=True),
    Column("text", Text, nullable=False),  # the last good one of the folders
    Column("at", Double, nullable=False),
)
