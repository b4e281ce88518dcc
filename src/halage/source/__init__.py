"""Bare repositories, git over HTTP, refs, pushes and Git flow."""
