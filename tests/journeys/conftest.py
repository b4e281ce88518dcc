"""Journeys run against the installed product."""

from tests.product_fixtures import log_of_a_failing_test, server

__all__ = ["log_of_a_failing_test", "server"]
