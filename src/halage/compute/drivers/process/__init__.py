"""The embedded driver: units are processes of this machine."""

from halage.compute.drivers.process.driver import ProcessDriver, ProcessSettings
from halage.compute.drivers.process.output import LogLimits

__all__ = ["LogLimits", "ProcessDriver", "ProcessSettings"]
