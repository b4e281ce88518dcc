"""Alarms by the API: who sees and changes which, what is refused, and what every route answers."""

import time
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from halage.monitor.alarms.ledger import NewChange, expand_with, record_changes
from halage.monitor.alarms.model import State, Verdict
from tests.services.web.world import World

PATH = "/api/v1/alarms"
LATENCY = 'p95(environment_response_time_ms{environment="prod"})'
WANTED: dict[str, Any] = {
    "name": "slow",
    "project": "shop",
    "environment": "prod",
    "expression": LATENCY,
    "threshold": 500,
    "on_alarm": [{"kind": "tell", "to": ["memory://xyzzy"]}],
}


async def made(client: httpx.AsyncClient, **changes: Any) -> dict[str, Any]:
    wanted = {**WANTED, **changes}
    answer = await client.post(PATH, json={name: value for name, value in wanted.items() if value != ""})
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


async def say(world: World, number: int, state: State) -> None:
    """Let an alarm change, as the controller does."""
    alarm = await world.services.alarms.show(number)
    verdict = Verdict(state, f"it says {state}", {"points": [[1.0, 2.0]], "period_s": 60})
    change = NewChange(alarm, verdict, time.time(), is_deploying=False)
    await world.services.database.run(record_changes, [change], expand_with(()), None)


async def test_what_is_made_can_be_read_and_its_secrets_cannot(world: World) -> None:
    async with world.client("dev") as client:
        alarm = await made(client)
        shown = (await client.get(f"{PATH}/{alarm['id']}")).json()
    assert shown == alarm
    defaults = {
        "operator": ">",
        "periods": 1,
        "breaching": 1,
        "missing": "missing",
        "low_samples": "evaluate",
    }
    assert {name: alarm[name] for name in defaults} == defaults
    assert (alarm["state"], alarm["reason"]) == ("INSUFFICIENT_DATA", "not evaluated yet")
    assert (alarm["is_default"], alarm["updated_by"]) == (False, "dev")
    (tell,) = alarm["on_alarm"]
    assert tell["to"][0].startswith("memory://***#") and "xyzzy" not in str(alarm)


async def test_a_definition_is_replaced_whole_and_its_project_stays(world: World) -> None:
    async with world.client("dev") as client:
        alarm = await made(client)
        there = f"{PATH}/{alarm['id']}"
        changed = await client.put(there, json={"name": "slower", "expression": LATENCY, "threshold": 900,
                                                "on_alarm": alarm["on_alarm"]})  # fmt: skip
        assert changed.status_code == 200, changed.text
        after = changed.json()
        assert (after["project"], after["environment"], after["threshold"]) == ("shop", None, 900.0)
        assert after["on_alarm"] == alarm["on_alarm"], "a masked secret that is sent back stays"
        elsewhere = {"name": "x", "expression": LATENCY, "threshold": 1, "environment": "nowhere"}
        assert (await client.put(there, json=elsewhere)).status_code == 404
        assert (await client.put(there, json={**elsewhere, "project": "hidden"})).status_code == 422


async def test_the_list_is_filtered_and_ordered(world: World) -> None:
    async with world.client("admin") as client:
        first = await made(client, name="b", environment="")
        second = await made(client, name="a")
        hidden = await made(client, name="h", project="hidden", environment="")
        server = await made(client, name="z", project="", environment="")
        await say(world, second["id"], State.ALARM)

        async def numbers(query: str, asking: httpx.AsyncClient = client) -> list[int]:
            answer = await asking.get(f"{PATH}?{query}")
            assert answer.status_code == 200, answer.text
            return [alarm["id"] for alarm in answer.json()]

        assert await numbers("") == [server["id"], hidden["id"], second["id"], first["id"]]
        assert await numbers("project=shop") == [second["id"], first["id"]]
        assert await numbers("environment=prod") == [second["id"]]
        assert await numbers("state=ALARM") == [second["id"]]
        assert await numbers("project=shop&state=OK") == []
        async with world.client("viewer") as viewer:
            assert await numbers("", viewer) == [second["id"], first["id"]]
            assert (await viewer.get(f"{PATH}?project=hidden")).status_code == 404
        assert (await client.get(f"{PATH}?state=RED")).status_code == 422


async def test_the_history_has_the_numbers_and_comes_a_page_at_a_time(world: World) -> None:
    async with world.client("dev") as client:
        alarm = await made(client, on_alarm=[{"kind": "rollback"}])
        there = f"{PATH}/{alarm['id']}/history"
        assert (await client.get(there)).json() == []
        for state in (State.ALARM, State.OK, State.ALARM):
            await say(world, alarm["id"], state)
        changes = (await client.get(there)).json()
        assert [change["state"] for change in changes] == ["ALARM", "OK", "ALARM"]
        assert changes[0]["facts"] == {"points": [[1.0, 2.0]], "period_s": 60}
        older = (await client.get(f"{there}?before={changes[0]['id']}&limit=1")).json()
        assert older == changes[1:2]
        (delivery,) = changes[0]["deliveries"]
        assert delivery["state"] == "waiting" and delivery["what"].startswith("roll back")
        assert changes[1]["deliveries"] == []
        assert (await client.get(f"{there}?limit=0")).status_code == 422


async def test_a_test_changes_nothing_and_sends_only_when_asked(world: World) -> None:
    async with world.client("dev") as client:
        alarm = await made(client, on_insufficient_data=[{"kind": "tell"}])
        there = f"{PATH}/{alarm['id']}"
        trial = (await client.post(f"{there}/test")).json()
        assert trial["verdict"]["state"] == "INSUFFICIENT_DATA" and trial["told"] == []
        assert trial["actions"] == ["tell whom messages.to names"]
        sent = (await client.post(f"{there}/test", json={"send": True})).json()
        assert [each["is_delivered"] for each in sent["told"]] == [True]
        assert (await client.get(there)).json() == alarm


async def test_an_alarm_is_disabled_with_an_end_and_enabled(world: World) -> None:
    async with world.client("dev") as client:
        there = f"{PATH}/{(await made(client))['id']}"
        end = (datetime.now(UTC) + timedelta(hours=1)).replace(microsecond=0)
        disabled = (await client.post(f"{there}/disable", json={"until": end.isoformat()})).json()
        assert disabled["is_disabled"]
        assert datetime.fromisoformat(disabled["disabled_until"]) == end
        whole = (await client.post(f"{there}/disable")).json()
        assert (whole["is_disabled"], whole["disabled_until"]) == (True, None)
        past = await client.post(f"{there}/disable", json={"until": "2001-01-01T00:00:00Z"})
        assert past.status_code == 422 and past.json()["errors"][0]["location"] == "until"
        assert not (await client.post(f"{there}/enable")).json()["is_disabled"]


async def test_names_are_taken_once_and_what_a_rule_names_stays(world: World) -> None:
    async with world.client("dev") as client:
        alarm = await made(client)
        again = await client.post(PATH, json=WANTED)
        assert again.status_code == 409 and again.json()["alarm"] == alarm["id"]
        rule = {"name": "both", "project": "shop", "rule": 'ALARM("slow")'}
        assert (await client.post(PATH, json=rule)).status_code == 201
        refused = await client.delete(f"{PATH}/{alarm['id']}")
        assert refused.status_code == 409 and refused.json()["named_by"] == ["both"]


@pytest.mark.parametrize(
    ("changes", "location"),
    [
        ({"expression": "sum("}, None),
        ({"threshold": None}, "threshold, band"),
        ({"band": {"width": 3}}, "threshold, band"),
        ({"threshold": None, "band": {"width": 3}, "period_s": 60}, "period_s"),
        ({"period_s": 61}, "period_s"),
        ({"periods": 3, "breaching": 4}, "breaching"),
        ({"period_s": 3600, "periods": 25}, "periods"),
        ({"rule": "DEPLOYING"}, "expression, rule"),
        ({"on_alarm": [{"kind": "scale", "by": 1, "to": 1, "maximum": 3}]}, "on_alarm.0"),
        ({"on_ok": [{"kind": "call", "url": "ftp://x"}]}, "on_ok.0.url"),
        ({"on_ok": [{"kind": "tell", "to": ["nobody"]}]}, "on_ok.0.to.0"),
    ],
)
async def test_what_cannot_be_is_refused_by_name(
    world: World, changes: dict[str, Any], location: str | None
) -> None:
    async with world.client("dev") as client:
        answer = await client.post(PATH, json={**WANTED, **changes})
        assert answer.status_code == 422, answer.text
        if location is not None:
            assert answer.json()["errors"][0]["location"] == location
        assert (await client.get(PATH)).json() == []


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", ""),
        ("PUT", ""),
        ("DELETE", ""),
        ("GET", "/history"),
        ("POST", "/test"),
        ("POST", "/disable"),
        ("POST", "/enable"),
    ],
)
async def test_who_may_do_what(world: World, method: str, path: str) -> None:
    body = {"name": "slow", "expression": LATENCY, "threshold": 1} if method == "PUT" else None
    async with world.client("admin") as client:
        own = await made(client, environment="")
        hidden = await made(client, project="hidden", environment="")
        server = await made(client, project="", environment="")

    async def status(user: str, alarm: dict[str, Any]) -> int:
        async with world.client(user) as client:
            return (await client.request(method, f"{PATH}/{alarm['id']}{path}", json=body)).status_code

    reads = method == "GET"
    assert await status("viewer", own) == (200 if reads else 403)
    assert await status("viewer", hidden) == await status("dev", hidden) == 404
    assert await status("viewer", server) == await status("owner", server) == 403
    assert await status("dev", {"id": 99}) == 404
    assert await status("dev", own) in (200, 204)
    async with world.client() as nobody:
        assert (await nobody.request(method, f"{PATH}/1{path}", json=body)).status_code == 401


async def test_who_may_make_one(world: World) -> None:
    body = {**WANTED, "environment": None}
    for user, project, status in (
        ("viewer", "shop", 403),
        ("dev", "hidden", 404),
        ("owner", None, 403),
        ("dev", "shop", 201),
        ("admin", None, 201),
    ):
        async with world.client(user) as client:
            answer = await client.post(PATH, json={**body, "project": project})
            assert answer.status_code == status, (user, project, answer.text)
    async with world.client("dev") as client:
        missing = await client.post(PATH, json={**WANTED, "name": "x", "environment": "nowhere"})
        assert missing.status_code == 404 and "nowhere" in missing.json()["detail"]
