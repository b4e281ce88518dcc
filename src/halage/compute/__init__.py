"""Starts, stops, observes and measures instances and jobs."""
