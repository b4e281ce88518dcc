"""Samples in a few words, and the names of environments in the balancer."""

from halage.monitor.inventory import WatchedEnvironment, WatchedInstance
from halage.monitor.metrics.model import Kind, Sample, SeriesKey
from halage.monitor.metrics.sketch import Sketch

Dimensions = tuple[tuple[str, str], ...]
"""Sorted by name, as a SeriesKey has them."""


def gauge(name: str, dimensions: Dimensions, value: float) -> Sample:
    """A level."""
    return Sample(SeriesKey(name, dimensions), Kind.GAUGE, float(value))


def percent(name: str, dimensions: Dimensions, value: float) -> Sample:
    """A level in hundredths of a per cent: what is finer is noise, and takes several times the bytes."""
    return gauge(name, dimensions, round(value, 2))


def count(name: str, dimensions: Dimensions, value: float) -> Sample:
    """How often it happened in the tick."""
    return Sample(SeriesKey(name, dimensions), Kind.COUNT, float(value))


def distribution(name: str, dimensions: Dimensions, value: Sketch) -> Sample:
    """The values of the tick."""
    return Sample(SeriesKey(name, dimensions), Kind.DISTRIBUTION, value)


def of_instance(instance: WatchedInstance) -> Dimensions:
    """The dimensions of an instance's series."""
    return instance_dimensions(instance.project, instance.environment, instance.id)


def instance_dimensions(project: str, environment: str, instance: str) -> Dimensions:
    """The same from its names."""
    return (("environment", environment), ("instance", instance), ("project", project))


def of_environment(environment: WatchedEnvironment) -> Dimensions:
    """The dimensions of an environment's series."""
    return environment_dimensions(environment.project, environment.name)


def environment_dimensions(project: str, environment: str) -> Dimensions:
    """The same from its names."""
    return (("environment", environment), ("project", project))


def route_of(environment: WatchedEnvironment) -> str:
    """The balancer's name of an environment."""
    return f"{environment.project}.{environment.name}"


def place_of(route: str) -> tuple[str, str]:
    """The project and the environment of a route."""
    project, _, environment = route.partition(".")
    return project, environment
