"""What has no domain of its own: clock, ids, database, journal, controllers, files, the root error."""
