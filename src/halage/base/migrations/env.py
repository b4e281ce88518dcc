"""Run by Alembic: brings the connection that `Database.migrate` hands over up to date."""

from alembic import context

connection = context.config.attributes["connection"]
metadata = context.config.attributes.get("metadata")
"""Only given when a new revision is made."""

context.configure(connection=connection, target_metadata=metadata, render_as_batch=True)
with context.begin_transaction():
    context.run_migrations()
