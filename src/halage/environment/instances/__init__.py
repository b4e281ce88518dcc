"""The living instances: where they run, how they start, how they are, what they print."""
