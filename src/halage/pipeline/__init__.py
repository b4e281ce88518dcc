"""Runs: from a commit through tests, environments and approvals to production."""
