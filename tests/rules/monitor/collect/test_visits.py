"""Visits counted into samples."""

from halage.balancer.model import Visit
from halage.compute.model import STANDARD_TYPES
from halage.monitor.collect.visits import VisitTally
from halage.monitor.inventory import WatchedEnvironment, WatchedInstance
from halage.monitor.metrics.model import Kind, Sample
from halage.monitor.metrics.sketch import Sketch


def visit(
    route: str | None = "shop.prod",
    target: str | None = "i-1",
    status: int = 200,
    target_ms: int | None = 10,
    response_ms: int | None = 15,
) -> Visit:
    return Visit(0.0, route, target, status, target_ms, response_ms, b"", 0)


def instance(name: str, *, is_serving: bool = True) -> WatchedInstance:
    return WatchedInstance("shop", "prod", name, f"{name}.1", STANDARD_TYPES["nano"], "::1", 1, is_serving, 0)


def environment(*instances: WatchedInstance) -> WatchedEnvironment:
    return WatchedEnvironment("shop", "prod", 1, instances, (), False, None, (), False)


def tally(*visits: Visit) -> VisitTally:
    made = VisitTally()
    for entry in visits:
        made.add(entry)
    return made


def told(samples: list[Sample]) -> dict[str, float]:
    """Numbers by `name` or `name instance`."""
    return {
        " ".join(filter(None, (sample.key.name, sample.key.get("instance")))): sample.value
        for sample in samples
        if not isinstance(sample.value, Sketch)
    }


def sketch(samples: list[Sample], name: str) -> Sketch:
    (value,) = (sample.value for sample in samples if sample.key.name == name)
    assert isinstance(value, Sketch)
    return value


def test_requests_and_answers_are_counted_per_instance_and_environment() -> None:
    visits = [visit(), visit(status=204), visit(target="i-2", status=301), visit(target="i-2", status=404)]
    numbers = told(tally(*visits, visit(status=599)).samples(10))
    assert numbers["environment_requests"] == 5
    assert numbers["environment_requests_per_second"] == 0.5
    assert [numbers[f"environment_responses_{digit}xx"] for digit in "2345"] == [2, 1, 1, 1]
    assert numbers["instance_requests i-1"] == 3
    assert [numbers[f"instance_responses_{digit}xx i-2"] for digit in "2345"] == [0, 1, 1, 0]


def test_what_no_instance_answered_counts_for_the_environment_alone() -> None:
    samples = tally(visit(target=None, status=503, target_ms=None, response_ms=0)).samples(10)
    numbers = told(samples)
    assert (numbers["environment_requests"], numbers["environment_responses_5xx"]) == (1, 1)
    assert not any(name.startswith("instance_") for name in numbers)
    assert sketch(samples, "environment_response_time_ms").zeros == 1


def test_a_visitor_who_went_away_has_neither_class_nor_time() -> None:
    samples = tally(visit(status=-1, target_ms=None, response_ms=None)).samples(10)
    numbers = told(samples)
    assert numbers["environment_requests"] == numbers["instance_requests i-1"] == 1
    assert sum(numbers[f"environment_responses_{digit}xx"] for digit in "2345") == 0
    assert not any(sample.kind is Kind.DISTRIBUTION for sample in samples)


def test_times_are_sketched_exactly_as_often_as_they_came() -> None:
    visits = [visit(target_ms=number, response_ms=number + 5) for number in (10, 10, 20, 1000)]
    samples = tally(*visits).samples(10)
    instance_times = sketch(samples, "instance_response_time_ms")
    assert (instance_times.count, instance_times.total) == (4, 1040)
    assert instance_times.minimum == 10
    assert sketch(samples, "environment_response_time_ms").maximum == 1005


def test_who_was_not_visited_counts_nothing_instead_of_missing() -> None:
    shop = environment(instance("i-1"), instance("i-2"), instance("i-3", is_serving=False))
    numbers = told(tally(visit()).samples(10, [shop]))
    assert (numbers["instance_requests i-1"], numbers["instance_requests i-2"]) == (1, 0)
    assert "instance_requests i-3" not in numbers
    assert told(VisitTally().samples(10, [shop]))["environment_requests_per_second"] == 0


def test_tallies_are_merged_and_visits_without_route_are_nobodys() -> None:
    one, other = tally(visit(), visit(route=None)), tally(visit(), visit(status=500))
    one.merge(other)
    assert one.count == 4
    assert told(one.samples(10))["environment_requests"] == 3
