"""The only place that builds everything and names concrete drivers."""
