"""Chooses which of the deployments that wait begins next, and says of the others what holds them."""

from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from halage.base.database import Transaction
from halage.base.errors import Invalid
from halage.environment.configuration import Configuration
from halage.environment.model import DeploymentState
from halage.environment.settings import freezing
from halage.environment.settings.schedule import Hold, may_begin
from halage.environment.tables import store
from halage.environment.tables.store import Place
from halage.site.settings import SchedulePlan

LOOK_AGAIN_S = 3600.0
"""At the latest: a clock may be set."""


@dataclass(frozen=True, slots=True)
class Choice:
    """What begins next (None: nothing may), after how long to look again, and whose runs heard news."""

    waiting: Any | None
    after_s: float | None = None
    runs: tuple[int | None, ...] = ()


def choose(tx: Transaction, place: Place) -> Choice:
    """The deployment that waits longest of those that may begin now; notes what holds the others."""
    after_s: float | None = None
    told: list[int | None] = []
    for row in store.deployments_in(tx, [DeploymentState.WAITING.value], place):
        hold = _hold(tx, row)
        if hold is None:
            return Choice(row, None, tuple(told))
        if row.reason != hold.reason:
            store.update_deployment(tx, row.id, reason=hold.reason)
            told.append(row.run_id)
        if hold.until is not None:
            left = min(max(hold.until - tx.now, 0.0), LOOK_AGAIN_S)
            after_s = left if after_s is None else min(after_s, left)
    return Choice(None, after_s, tuple(told))


def _hold(tx: Transaction, row: Any) -> Hold | None:
    """What holds a deployment back. A rollback always may begin, and so may what replaces no instance."""
    if row.kind == "rollback":
        return None
    hold = may_begin(_schedule(tx, row), tx.now)
    if hold is None or (row.kind == freezing.KIND and freezing.is_live_change(tx, row)):
        return None
    return hold


def _schedule(tx: Transaction, row: Any) -> SchedulePlan:
    """The schedule of now: what halage.toml says in the release that waits, and over it what is set here."""
    release = store.release_row(tx, row.release_id)
    configuration = Configuration.from_document(release.configuration)
    with suppress(Invalid):  # what does not go together is told when it begins
        configuration = freezing.configured(tx, (row.project, row.environment), configuration.base)
    return configuration.plan(row.environment).schedule
