"""How settings get into releases, and come back out of them: parts of larger transactions."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from sqlalchemy import update

from halage.base.database import Transaction
from halage.base.errors import Invalid
from halage.environment.configuration import Configuration, StoredVariable
from halage.environment.model import DeploymentState
from halage.environment.settings.model import Difference
from halage.environment.settings.rules import differences, is_same_but_live
from halage.environment.tables import settings_tables as tables
from halage.environment.tables import store
from halage.environment.tables.store import Place
from halage.site.effective import with_settings
from halage.site.errors import SettingsInvalid
from halage.site.model import Site

KIND = "settings"
"""The kind of the deployments that bring settings."""
_ACTOR = "halage"


def variables_now(tx: Transaction, place: Place) -> dict[str, StoredVariable]:
    """The variables that a release made now is frozen with."""
    return {row.name: StoredVariable(row.value, row.is_secret) for row in store.variable_rows(tx, place)}


def configured(
    tx: Transaction, place: Place, base: Site, variables: dict[str, StoredVariable] | None = None
) -> Configuration:
    """What a release made now is frozen with: what halage.toml says, and over it what is set here.

    Raises Invalid where the two do not go together.
    """
    held = tables.settings_now(tx, place)
    try:
        site = with_settings(base, place[1], held)
    except SettingsInvalid as error:
        problems = "; ".join(str(problem) for problem in error.problems)
        raise Invalid(
            f"What is set on the server does not go together with halage.toml: {problems} "
            f"`halage env config diff {place[0]} {place[1]}` shows both.",
            errors=error.facts["errors"],
        ) from error
    frozen = variables_now(tx, place) if variables is None else variables
    return Configuration(site, frozen, held, base if held else None)


def is_live_change(tx: Transaction, row: Any) -> bool:
    """Whether a deployment of settings that waits would replace no instance if it began now."""
    place = (row.project, row.environment)
    environment = store.environment_row(tx, place)
    if environment is None or environment.current_release_id is None:
        return True  # it ends at once
    current = store.release_row(tx, environment.current_release_id)
    before = Configuration.from_document(current.configuration)
    try:
        after = configured(tx, place, before.base, dict(before.variables))
    except Invalid:
        return True  # it ends at once
    return is_same_but_live(before, after, place[1])


def freeze(tx: Transaction, row: Any) -> str | None:
    """Make the release of a deployment of settings, now that it begins: of what serves, with what is set.

    Returns why there is nothing to deploy, or None.
    """
    place = (row.project, row.environment)
    environment = store.environment_row(tx, place)
    if environment is None or environment.current_release_id is None:
        return "nothing is deployed here yet: the settings wait for the first release"
    current = store.release_row(tx, environment.current_release_id)
    before = Configuration.from_document(current.configuration)
    try:
        after = configured(tx, place, before.base, dict(before.variables))
        if not is_same_but_live(before, after, place[1]):
            after = configured(tx, place, before.base)
    except Invalid as error:
        return error.message
    if after == before:
        return f"v{current.number} has these settings already"
    store.update_release(
        tx,
        row.release_id,
        bundle_digest=current.bundle_digest,
        commit=current.commit,
        title=current.title,
        run_id=current.run_id,
        configuration=after.to_document(),
    )
    return None


def switch_live(tx: Transaction, row: Any) -> bool:
    """Let the instances that serve be those of the new release, where only live settings differ.

    Returns whether that was so: then the deployment has nothing left to do.
    """
    if row.kind not in (KIND, "rollback") or row.previous_release_id is None:
        return False
    releases = store.releases_by_id(tx, (row.release_id, row.previous_release_id))
    new, old = releases[row.release_id], releases[row.previous_release_id]
    before, after = (Configuration.from_document(each.configuration) for each in (old, new))
    is_same_code = (new.bundle_digest, new.commit) == (old.bundle_digest, old.commit)
    if not is_same_code or not is_same_but_live(before, after, row.environment):
        return False
    table = store.instances_table
    serving = (table.c.project == row.project, table.c.environment == row.environment)
    of_old = (*serving, table.c.release_id == old.id, table.c.state.in_(store.LIVING_INSTANCES))
    # The directory that they run in is that of the release that they were started for.
    first = table.c.started_release_id.is_(None)
    tx.execute(update(table).where(*of_old, first).values(started_release_id=old.id))
    tx.execute(update(table).where(*of_old).values(release_id=new.id))
    return True


def name_in_history(tx: Transaction, row: Any) -> None:
    """Note the release that the newest changes are first in, where it holds just what is set."""
    place = (row.project, row.environment)
    configuration = Configuration.from_document(store.release_row(tx, row.release_id).configuration)
    if configuration.settings == tables.settings_now(tx, place):
        tables.name_release(tx, place, row.release_id)


def return_to(tx: Transaction, place: Place, release: Any, actor: str, reason: str) -> None:
    """Let what is set be what it was in a release: who returns to it returns to its settings."""
    held = tables.settings_now(tx, place)
    wanted = dict(Configuration.from_document(release.configuration).settings)
    found = differences(held, wanted)
    if not found:
        return
    tables.put_settings(tx, place, wanted, actor)
    tables.add_change(tx, place, actor, reason, [asdict(each) for each in found])
    tables.name_release(tx, place, release.id)
    note_configured(tx, place, actor, reason, found)


def note_configured(
    tx: Transaction, place: Place, actor: str, reason: str, found: Sequence[Difference]
) -> None:
    """Tell the journal what is set otherwise now; an empty reason is left out."""
    tx.record(
        "environment:Configure",
        actor=actor,
        subject=f"project/{place[0]}/environment/{place[1]}",
        project=place[0],
        before={each.path: each.before for each in found},
        after={each.path: each.after for each in found},
        **({"reason": reason} if reason else {}),
    )


def take_back(tx: Transaction, row: Any, state: DeploymentState) -> None:
    """After a deployment of settings, or a rollback, that failed: what is set is what serves again,
    unless somebody has set something else meanwhile.
    """
    is_over = state in (DeploymentState.ROLLED_BACK, DeploymentState.FAILED)
    place = (row.project, row.environment)
    environment = store.environment_row(tx, place)
    # One that was refused has not begun: what serves is what it would have come from.
    serving = row.previous_release_id or (environment.current_release_id if environment else None)
    if row.kind not in (KIND, "rollback") or not is_over or serving is None:
        return
    failed = Configuration.from_document(store.release_row(tx, row.release_id).configuration)
    if failed.settings == tables.settings_now(tx, place):
        previous = store.release_row(tx, serving)
        words = state.value.replace("_", " ")
        return_to(tx, place, previous, _ACTOR, f"deployment {row.id} {words}: {row.reason}"[:500])
