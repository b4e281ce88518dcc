"""Metrics for others: Prometheus' text format, remote write, CSV."""
