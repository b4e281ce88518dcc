"""Releases, deployments, instances and their health."""
