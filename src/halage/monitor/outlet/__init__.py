"""Metrics go out: in Prometheus' text format, and by its remote write protocol."""
