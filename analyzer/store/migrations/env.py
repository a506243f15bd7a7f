"""Run by Alembic, on the connection and in the transaction that `analyzer.store.migrations.upgrade` hands over."""

from alembic import context

from analyzer.store.schema import METADATA

context.configure(connection=context.config.attributes["connection"], target_metadata=METADATA, render_as_batch=True)
context.run_migrations()
