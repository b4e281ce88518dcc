"""Metrics: series of samples, kept on a ladder of resolutions, asked by expressions."""
