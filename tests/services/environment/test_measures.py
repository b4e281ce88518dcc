"""What scaling reads from the store: within its own environment, without who warms up, and why not."""

from halage.environment.autoscaling.presets import PRESETS, expression_of, expression_problem
from halage.environment.control.measures import Question, StoredMeasures
from halage.site.settings import Trigger, TriggerKind
from tests.metrics import MemoryMetrics

AT = 1_700_000_000 // 60 * 60
PROD = ("shop", "prod")
NOBODY: frozenset[str] = frozenset()


def _measures() -> tuple[MemoryMetrics, StoredMeasures]:
    metrics = MemoryMetrics()
    return metrics, StoredMeasures(metrics, metrics)


def _one(
    measures: StoredMeasures, question: Question, without: frozenset[str] = NOBODY
) -> tuple[float | None, ...]:
    return measures.read(PROD, {"it": question}, AT + 5, without)["it"].values


def test_presets_and_other_expressions() -> None:
    assert all(expression_problem(word) is None for word in PRESETS)
    assert expression_problem("average(orders)") is None
    assert "rests" in (expression_problem("rests") or "")


def test_the_last_periods_that_have_ended_of_its_own_environment() -> None:
    metrics, measures = _measures()
    for environment, values in (("prod", [100, 200, 300, 400]), ("dev", [9000] * 4)):
        metrics.put("environment_requests", values, at=AT - 40, project="shop", environment=environment)
    requests = Question(PRESETS["requests"].expression, 10, 2)
    assert _one(measures, requests) == (30.0, 40.0)
    own = Question('sum(environment_requests{environment="dev"} by ())', 10, 1)
    assert _one(measures, own) == (400.0,), "another environment cannot be named"


def test_who_warms_up_counts_in_nothing() -> None:
    metrics, measures = _measures()
    for instance, value in (("i-1", 40.0), ("i-2", 60.0), ("i-3", 5.0)):
        metrics.put(
            "instance_cpu_percent",
            [value],
            at=AT - 10,
            project="shop",
            environment="prod",
            instance=instance,
        )
    cpu = Question(PRESETS["cpu"].expression, 10, 1)
    assert _one(measures, cpu) == (35.0,)
    assert _one(measures, cpu, frozenset({"i-3"})) == (50.0,)
    assert _one(measures, cpu, frozenset({"i-1", "i-2", "i-3"})) == (None,)


def test_no_requests_are_no_latency_but_a_lost_metric_is_none() -> None:
    metrics, measures = _measures()
    latency = PRESETS["latency"]
    question = Question(latency.expression, 10, 1, latency.idle)
    found = measures.read(PROD, {"it": question}, AT + 5, NOBODY)["it"]
    assert (found.values, "no value" in found.problem) == ((None,), True)
    metrics.put("environment_requests", [0], at=AT - 10, project="shop", environment="prod")
    assert _one(measures, question) == (0.0,)


def test_what_cannot_be_read_says_why() -> None:
    _, measures = _measures()
    found = measures.read(PROD, {"it": Question("average(", 10, 2)}, AT, NOBODY)["it"]
    assert (found.values, bool(found.problem)) == ((None, None), True)


def test_the_length_of_a_queue_is_a_metric() -> None:
    _, measures = _measures()
    measures.note_queue(PROD, "mailer", "jobs", AT - 10, 7.0)
    measures.note_queue(PROD, "worker", "jobs", AT - 10, 70.0)
    trigger = Trigger("jobs", TriggerKind.QUEUE, target=10)
    question = Question(expression_of(trigger, "mailer"), 10, 1)
    assert _one(measures, question) == (7.0,)
