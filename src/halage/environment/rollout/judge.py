"""What the answers of a canary say of it, beside those of the release that it is to replace."""

from dataclasses import dataclass

from halage.environment.rules import Answers
from halage.site.settings import CanaryPlan


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a canary was found to be, in words and numbers."""

    is_worse: bool
    words: str


MANY = 10
"""So many times the least number of requests, its slow answers count before its time is over."""


def judge(plan: CanaryPlan, new: Answers | None, old: Answers | None, *, is_over: bool) -> Verdict:
    """Whether the new release answers worse than the old one, by errors and by its slow answers.

    Errors count at once. Who has just begun is slow at first: that counts once its time `is_over`,
    or once there were many requests.
    """
    if new is None:
        return Verdict(False, "nothing is known of its answers: judged by its health alone")
    if new.requests < plan.least_requests:
        return Verdict(
            False,
            f"{new.requests} requests, fewer than the {plan.least_requests} that say something: "
            "judged by its health alone",
        )
    errors, errors_before = _share(new), _share(old) if old is not None else 0.0
    if errors - errors_before > plan.most_errors_percent:
        words = (
            f"{errors:.2f}% of its {new.requests} requests failed, {errors_before:.2f}% of the release before"
            f" ({plan.most_errors_percent:g}% more are allowed)"
        )
        return Verdict(True, words)
    is_warm = is_over or new.requests >= MANY * plan.least_requests
    if is_warm and (slower := _slower(plan, new, old)) is not None:
        return Verdict(True, slower)
    words = f"{errors:.2f}% of its {new.requests} requests failed, {errors_before:.2f}% of the release before"
    if new.p95_ms is not None and old is not None and old.p95_ms is not None:
        words += f"; p95 {new.p95_ms:.0f} ms, before {old.p95_ms:.0f} ms"
    return Verdict(False, words)


def _slower(plan: CanaryPlan, new: Answers, old: Answers | None) -> str | None:
    if old is None or old.requests < plan.least_requests or new.p95_ms is None or not old.p95_ms:
        return None
    if new.p95_ms <= old.p95_ms * plan.slowest_ratio:
        return None
    return (
        f"its p95 is {new.p95_ms:.0f} ms, {new.p95_ms / old.p95_ms:.1f} times the {old.p95_ms:.0f} ms"
        f" of the release before ({plan.slowest_ratio:g} times are allowed)"
    )


def _share(answers: Answers) -> float:
    return 100.0 * answers.errors / answers.requests if answers.requests else 0.0
