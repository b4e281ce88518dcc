"""Certificates of environments and of the console."""
