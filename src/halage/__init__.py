"""Halage: from `git push` to a live site, under control."""

__version__ = "0.1.0"
