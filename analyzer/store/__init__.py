"""What must not be lost.

recording   every event of one analysis in a file, a line each
inspection  a look at a database before it is opened
database    the way to SQLite or PostgreSQL; address, failure: its connections, its errors as sentences;
            standing: others that stand still with its locks in hand
analyses    every analysis that was ordered: rows to find, events under a lease
            (entry, finding, journal, leases, changes)
record      the engine's record of one analysis, in a database
audit       who did what
switch      what holds all acts: a switch, and how many there have been
schema      the tables; migrations: from any earlier schema to the present one
"""
