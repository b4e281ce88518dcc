"""Variables: sealed in the database, open in the unit's environment, and nowhere else."""

import json
from collections.abc import AsyncIterator
from dataclasses import asdict
from typing import Any

import pytest

from halage.environment.errors import BadVariable, NoSuchEnvironment, NoSuchVariable
from halage.site.model import EnvironmentPlan
from tests.controlplane import PROD, SHOP, ControlPlane, Ground, control_plane, site_of

SECRET = "correct-horse-battery"


@pytest.fixture
async def plane(ground: Ground) -> AsyncIterator[ControlPlane]:
    async with control_plane(ground) as plane:
        await plane.environments.create(SHOP, [EnvironmentPlan("dev"), EnvironmentPlan("prod")])
        yield plane


def _dump(ground: Ground) -> str:
    """Everything that the database holds, as text."""
    connection = ground.database.engine.raw_connection()
    try:
        return "\n".join(connection.dbapi_connection.iterdump())  # type: ignore[union-attr]
    finally:
        connection.close()


async def test_a_secret_is_sealed_in_the_database_and_open_in_the_unit_alone(
    ground: Ground, plane: ControlPlane
) -> None:
    shown = await plane.environments.set_variable(*PROD, "DB_PASSWORD", SECRET, is_secret=True, actor="ada")
    assert (shown.value, shown.is_secret) == (None, True)
    deployment = await plane.deploy_whole()
    assert ground.spec_of("i-").environment["DB_PASSWORD"] == SECRET
    assert SECRET not in _dump(ground)
    views: list[Any] = [
        deployment,
        await plane.environments.show(*PROD),
        *await plane.environments.releases(*PROD),
        *await plane.environments.variables(*PROD),
    ]
    assert all(SECRET not in json.dumps(asdict(view)) for view in views)
    assert all(SECRET not in json.dumps(asdict(entry)) for entry in await ground.entries())
    assert all(SECRET not in argument for argument in ground.spec_of("i-").command)
    assert await plane.environments.secret_values(SHOP) == [SECRET]


async def test_a_plain_variable_is_shown_and_noted_by_name(ground: Ground, plane: ControlPlane) -> None:
    await plane.environments.set_variable(*PROD, "COLOUR", "red", is_secret=False, actor="ada")
    await plane.environments.set_variable(*PROD, "COLOUR", "blue", is_secret=False, actor="bob")
    (variable,) = await plane.environments.variables(*PROD)
    assert (variable.name, variable.value, variable.updated_by) == ("COLOUR", "blue", "bob")
    entry = (await ground.entries())[-1]
    assert (entry.action, entry.actor, entry.details) == (
        "environment:SetVariable",
        "bob",
        {"variable": "COLOUR"},
    )
    assert await plane.environments.variables(SHOP, "dev") == ()


async def test_what_people_set_wins_over_the_site_and_halage_wins_over_all(
    ground: Ground, plane: ControlPlane
) -> None:
    site = site_of(
        variables={"A": "site", "B": "site", "C": "site"},
        plan=EnvironmentPlan("prod", variables={"B": "environment", "C": "environment", "HOST": "0.0.0.0"}),
    )
    await plane.environments.set_variable(*PROD, "C", "people", is_secret=False, actor="ada")
    await plane.deploy_whole(site)
    environment = ground.spec_of("i-").environment
    assert [environment[name] for name in "ABC"] == ["site", "environment", "people"]
    assert environment["HOST"].startswith("127.")


async def test_a_release_keeps_the_variables_that_it_was_made_with(
    ground: Ground, plane: ControlPlane
) -> None:
    await plane.environments.set_variable(*PROD, "COLOUR", "red", is_secret=True, actor="ada")
    await plane.deploy_whole()
    await plane.environments.set_variable(*PROD, "COLOUR", "blue", is_secret=True, actor="ada")
    await plane.deploy_whole(run_id=2)
    assert ground.spec_of("i-").environment["COLOUR"] == "blue"
    await plane.deployed((await plane.environments.rollback(*PROD, actor="ada")).id)
    assert ground.spec_of("i-").environment["COLOUR"] == "red"


async def test_unset_takes_it_away(ground: Ground, plane: ControlPlane) -> None:
    await plane.environments.set_variable(*PROD, "COLOUR", "red", is_secret=False, actor="ada")
    await plane.environments.unset_variable(*PROD, "COLOUR", actor="ada")
    await plane.deploy_whole()
    assert "COLOUR" not in ground.spec_of("i-").environment
    with pytest.raises(NoSuchVariable, match="shop prod has no variable COLOUR"):
        await plane.environments.unset_variable(*PROD, "COLOUR", actor="ada")


@pytest.mark.parametrize("name", ["PORT", "HALAGE_URL", "1ST", "A-B", "", "A=B", "É", "A\n"])
async def test_a_name_that_cannot_be_set_is_refused(plane: ControlPlane, name: str) -> None:
    with pytest.raises(BadVariable, match="cannot be set"):
        await plane.environments.set_variable(*PROD, name, "x", is_secret=False, actor="ada")
    assert await plane.environments.variables(*PROD) == ()


async def test_a_value_with_nul_is_refused_without_showing_it(plane: ControlPlane) -> None:
    with pytest.raises(BadVariable) as caught:
        await plane.environments.set_variable(*PROD, "KEY", f"{SECRET}\0", is_secret=True, actor="ada")
    assert SECRET not in str(caught.value)


async def test_an_unknown_environment_is_named(plane: ControlPlane) -> None:
    with pytest.raises(NoSuchEnvironment, match="project shop has no environment stage"):
        await plane.environments.set_variable(SHOP, "stage", "A", "x", is_secret=False, actor="ada")


async def test_the_journal_holds_what_a_plain_variable_was_and_is(
    ground: Ground, plane: ControlPlane
) -> None:
    for value in ("red", "blue"):
        await plane.environments.set_variable(*PROD, "COLOUR", value, is_secret=False, actor="ada")
    await plane.environments.unset_variable(*PROD, "COLOUR", actor="ada")
    red, blue = ({"value": value, "is_secret": False} for value in ("red", "blue"))
    changes = [(entry.before, entry.after) for entry in await ground.entries()]
    assert changes == [(None, red), (red, blue), (blue, None)]


@pytest.mark.parametrize("name", ["KEY", "STRIPE_SECRET", "db_password"])
async def test_the_journal_never_holds_what_is_or_becomes_a_secret(
    ground: Ground, plane: ControlPlane, name: str
) -> None:
    """Set openly by mistake, then as a secret: the mistake must not be told again by the correction."""
    is_called_so = name != "KEY"
    if is_called_so:
        await plane.environments.set_variable(*PROD, name, SECRET, is_secret=False, actor="ada")
    await plane.environments.set_variable(*PROD, name, SECRET, is_secret=True, actor="ada")
    await plane.environments.set_variable(*PROD, name, SECRET, is_secret=False, actor="ada")
    await plane.environments.set_variable(*PROD, name, SECRET, is_secret=True, actor="ada")
    await plane.environments.unset_variable(*PROD, name, actor="ada")
    entries = await ground.entries()
    assert SECRET not in json.dumps([asdict(entry) for entry in entries])
    assert [((e.before or {}).get("is_secret"), (e.after or {}).get("is_secret")) for e in entries][-3:] == [
        (True, False),
        (False, True),
        (True, None),
    ]
