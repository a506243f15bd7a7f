"""The first schema."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

LARGE = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make the tables."""
    _make_analyses()
    op.create_table(
        "events",
        sa.Column("analysis_id", sa.String(64), nullable=False),
        sa.Column("seq", sa.Integer, nullable=False, autoincrement=False),
        sa.Column("at", sa.Double, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("analysis_id", "seq", name="pk_events"),
        sa.ForeignKeyConstraint(["analysis_id"], ["analyses.id"], name="fk_events_analysis_id"),
    )
    op.create_table(
        "audit",
        sa.Column("seq", LARGE, nullable=False, autoincrement=True),
        sa.Column("at", sa.Double, nullable=False),
        sa.Column("who", sa.Text, nullable=False),
        sa.Column("what", sa.String(63), nullable=False),
        sa.Column("analysis_id", sa.String(64), nullable=False),
        sa.Column("detail", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("seq", name="pk_audit"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_audit_analysis_id_seq", "audit", ["analysis_id", "seq"])
    op.create_index("ix_audit_at", "audit", ["at"])
    counters = op.create_table(
        "counters",
        sa.Column("name", sa.String(31), nullable=False),
        sa.Column("value", LARGE, nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_counters"),
    )
    op.bulk_insert(counters, [{"name": "changes", "value": 0}])


def _make_analyses() -> None:
    op.create_table(
        "analyses",
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("key", sa.String(255), nullable=False),
        sa.Column("namespace", sa.String(255), nullable=False),
        sa.Column("kind", sa.String(63), nullable=False),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("ordered", sa.Text, nullable=False),
        sa.Column("state", sa.String(15), nullable=False),
        sa.Column("verdict", sa.String(31), nullable=False),
        sa.Column("action", sa.String(31), nullable=False),
        sa.Column("result", sa.String(31), nullable=False),
        sa.Column("held_by", sa.String(31), nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("created_at", sa.Double, nullable=False),
        sa.Column("ended_at", sa.Double),
        sa.Column("changed_at", sa.Double, nullable=False),
        sa.Column("last_seq", sa.Integer, nullable=False),
        sa.Column("position", LARGE, nullable=False),
        sa.Column("lease_owner", sa.String(255)),
        sa.Column("lease_until", sa.Double),
        sa.Column("lease", LARGE, nullable=False),
        sa.Column("asked", sa.Text),
        sa.PrimaryKeyConstraint("id", name="pk_analyses"),
        sa.UniqueConstraint("key", name="uq_analyses_key"),
    )
    for columns in (
        ["created_at", "id"],
        ["namespace", "name", "kind", "created_at"],
        ["state", "lease_until"],
        ["ended_at", "id"],
        ["position"],
        ["lease_owner"],
    ):
        op.create_index(f"ix_analyses_{'_'.join(columns)}", "analyses", columns)
