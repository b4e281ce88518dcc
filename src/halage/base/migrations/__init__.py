"""The schema's history: Alembic runs every revision once, in order."""
