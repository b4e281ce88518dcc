"""Who is told of what happens to an environment."""
