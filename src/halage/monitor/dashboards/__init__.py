"""Dashboards: graphs that people laid out."""
