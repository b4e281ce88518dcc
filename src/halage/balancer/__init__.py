"""Routes visitors to instances."""
