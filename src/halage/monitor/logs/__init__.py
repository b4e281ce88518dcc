"""Logs: lines in groups and streams, compressed, searched, followed, sent on."""
