"""From what is recorded of an environment to what is decided about its workers."""

from collections.abc import Mapping, Sequence
from typing import Any

from halage.environment.autoscaling.model import WEB
from halage.environment.configuration import Configuration
from halage.environment.model import DeploymentState
from halage.environment.records.ledger import Book
from halage.environment.rules import InstanceFacts
from halage.environment.tables import scaling_store
from halage.environment.tables.store import Place
from halage.environment.workers import WorkerSituation


def worker_situations(
    place: Place, book: Book, now: float, facts: Sequence[tuple[Any, InstanceFacts]], is_ready: bool
) -> list[WorkerSituation]:
    """One for each kind of process other than `web` that there is or shall be.

    `is_ready`: the deployment under way has brought its web instances about, so that its workers are next.
    """
    goal, proving = book.environment.current_release_id, None
    if book.deployment is not None:
        is_forward = book.deployment.state == DeploymentState.RUNNING
        goal = book.deployment.previous_release_id
        proving = book.deployment.release_id if is_forward and is_ready else None
    wanted, needed = _wanted(place, book, goal), _wanted(place, book, proving)
    kinds = {*wanted, *needed, *(row.process for row, _ in facts)}
    return [
        WorkerSituation(
            now=now,
            process=kind,
            goal=goal,
            wanted=wanted.get(kind, 0),
            proving=proving,
            proving_wanted=needed.get(kind, 0),
            instances=tuple(each for row, each in facts if row.process == kind),
            keeps_dead=keeps_dead(place, book),
        )
        for kind in sorted(kinds)
    ]


def keeps_dead(place: Place, book: Book) -> bool:
    """Whether replacing is suspended, by people or by the release that is current."""
    if "replace" in scaling_store.suspended(book.states):
        return True
    current = book.releases.get(book.environment.current_release_id)
    if current is None:
        return False
    return "replace" in _document(current, place).get("scaling", {}).get("suspended", ())


def _wanted(place: Place, book: Book, release_id: int | None) -> dict[str, int]:
    """How many instances of each kind of process a release is to have."""
    release = book.releases.get(release_id) if release_id is not None else None
    if release is None or not _document(release, place).get("processes"):
        return {}
    plan = Configuration.from_document(release.configuration).plan(place[1])
    wanted = {}
    for kind in plan.processes:
        state = book.states.get(kind.name)
        held = state.instances if state is not None else None
        wanted[kind.name] = kind.planned if held is None else held
    wanted.pop(WEB, None)
    return wanted


def _document(release: Any, place: Place) -> Mapping[str, Any]:
    """The plan as it is stored: this is asked at every decision, and hardly ever is there anything in it."""
    found: Mapping[str, Any] = release.configuration["site"]["environments"].get(place[1]) or {}
    return found
