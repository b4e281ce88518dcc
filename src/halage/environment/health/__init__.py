"""How an environment and its instances are, and why. Pure."""
