"""What can keep a server from starting."""

from halage.base.errors import Conflict, Invalid, Unavailable


class DataInUse(Conflict):
    """Another Halage server uses this data directory."""


class AddressInUse(Unavailable):
    """The address to listen on is taken."""


class MachineLacks(Unavailable):
    """The machine lacks a program that Halage needs."""


class SettingsInvalid(Invalid):
    """The settings cannot be used. Fact: problems."""
