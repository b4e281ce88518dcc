"""One-off commands and shells that people run in an environment."""
