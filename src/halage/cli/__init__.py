"""The `halage` command."""
