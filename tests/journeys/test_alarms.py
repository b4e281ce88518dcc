"""A site goes wrong, and alarms see to it: people are told once, it is scaled out, and rolled back."""

import contextlib
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from tests.ports import unused_port
from tests.product import Document, Product, WorkingCopy, eventually, product
from tests.receiver import Receiver
from tests.sites import site, toml_of

# `/break` and `/mend` are the site's own doors; health is asked at `/`, which is always well.
BEFORE = "import pathlib\nBROKEN = pathlib.Path('kept/broken')"
ANSWER = (
    "(BROKEN.touch() if path == '/break' else BROKEN.unlink(missing_ok=True) if path == '/mend' else None,"
    " (500 if path == '/shop' and (BROKEN.exists() or {bad}) else 200, b'{text}'))[1]"
)
RUN = {"persistent": ["kept"]}
IN_TIME_S = 90.0
"""For what takes a tick or two of ten seconds."""


def shop_files(text: str, *, bad: bool = False, start_s: float = 0.0) -> dict[str, str]:
    """A shop that answers `text`; a bad one fails at `/shop` from its start."""
    answer = ANSWER.replace("{bad}", str(bad)).replace("{text}", text)
    before = f"{BEFORE}\ntime.sleep({start_s})"
    return site("", toml=toml_of(run=RUN), before=before, answer=answer)


class Visitors:
    """Ten visits of `/shop` a second."""

    def __init__(self, server: Product) -> None:
        self._server = server
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._visit, daemon=True)

    def __enter__(self) -> "Visitors":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _visit(self) -> None:
        while not self._over.wait(0.1):
            self._server.visit("boutique.localhost", "/shop")


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    with Receiver() as one:
        yield one


@pytest.fixture(scope="module")
def server(receiver: Receiver) -> Iterator[Product]:
    settings = {"HALAGE_MESSAGES_TO": receiver.address("everyone")}
    with product(unused_port(), unused_port(), settings=settings) as one:
        yield one


@pytest.fixture(scope="module")
def shop(server: Product) -> Iterator[WorkingCopy]:
    shop = WorkingCopy(server, "boutique")
    shop.deploy(shop_files("v1"))
    with Visitors(server):
        yield shop
    server.client.delete_project("boutique")


@pytest.fixture
def mended(server: Product, shop: WorkingCopy) -> Iterator[None]:
    """The site is well at the beginning and at the end."""
    with contextlib.ExitStack() as stack:
        stack.callback(server.visit, "boutique.localhost", "/mend")
        yield


def alarm_of(server: Product, name: str) -> Document:
    alarms = {each["name"]: each for each in server.client.list_alarms(project="boutique")}
    return alarms[name]


def quick(**more: Any) -> Document:
    """An alarm on the errors of production that looks at each ten seconds alone."""
    where = '{project="boutique",environment="prod"}'
    return {
        "project": "boutique",
        "environment": "prod",
        "expression": f"sum(environment_responses_5xx{where}) / sum(environment_requests{where}) * 100",
        "threshold": 5.0,
        "period_s": 10,
        "missing": "notBreaching",
        **more,
    }


def until_state(server: Product, alarm: int, state: str) -> Document:
    def look() -> Document | None:
        shown = server.client.show_alarm(alarm)
        return shown if shown["state"] == state else None

    return eventually(look, f"alarm {alarm} to be {state}", within_s=IN_TIME_S)


def until_delivered(server: Product, alarm: int, state: str) -> Document:
    """The alarm's last change, once it is one to that state and everything is done for it."""

    def look() -> Document | None:
        for change in server.client.list_alarm_changes(alarm, limit=1):
            is_done = all(each["state"] not in ("waiting", "held") for each in change["deliveries"])
            if change["state"] == state and is_done:
                return change
        return None

    return eventually(look, f"what alarm {alarm} does when it is {state}", within_s=IN_TIME_S)


@pytest.mark.usefixtures("mended")
def test_the_alarms_that_come_with_an_environment_tell_once_and_tell_when_it_is_well_again(
    server: Product, shop: WorkingCopy, receiver: Receiver
) -> None:
    def names() -> set[str] | None:
        found = {each["name"] for each in server.client.list_alarms(project="boutique")}
        return found or None

    words = ("errors", "latency", "no-healthy-instance", "certificate")
    assert eventually(names, "the default alarms") == {f"prod-{word}" for word in words}, (
        "dev and preprod have no release yet"
    )
    errors = alarm_of(server, "prod-errors")
    assert errors["is_default"] and errors["mute_while_deploying"]
    # The same alarm with shorter periods; everything else of it stays.
    definition = {**_definition_of(errors), "period_s": 10, "periods": 1, "breaching": 1}
    server.client.set_alarm(errors["id"], definition)
    until_state(server, errors["id"], "OK")

    assert server.visit("boutique.localhost", "/break").status == 200
    until_delivered(server, errors["id"], "ALARM")
    assert receiver.titles("everyone") == ["ALARM: prod-errors (prod of boutique)"]
    assert server.visit("boutique.localhost", "/mend").status == 200
    until_delivered(server, errors["id"], "OK")
    assert receiver.titles("everyone") == [
        "ALARM: prod-errors (prod of boutique)",
        "OK again: prod-errors (prod of boutique)",
    ]
    told = receiver.bodies("everyone")[0]["message"]
    assert "> 5" in told and f"/alarms/{errors['id']}" in told
    events = server.client.list_events(project="boutique", action="monitor:AlarmChanged")
    changes = [(each["before"]["state"], each["after"]["state"]) for each in events]
    assert ("OK", "ALARM") in changes and ("ALARM", "OK") in changes
    server.client.delete_alarm(errors["id"])


def _definition_of(alarm: Document) -> Document:
    names = ("name", "environment", "description", "expression", "operator", "threshold", "missing")
    more = ("mute_while_deploying", "on_alarm", "on_ok")
    return {name: alarm[name] for name in (*names, *more)}


def test_the_alarm_on_certificates_rests_while_there_is_no_tls(server: Product, shop: WorkingCopy) -> None:
    alarm = alarm_of(server, "prod-certificate")
    assert alarm["is_default"] and alarm["period_s"] == 3600
    trial = server.client.test_alarm(alarm["id"])
    assert trial["verdict"]["state"] == "OK", trial
    assert alarm["state"] != "ALARM"


@pytest.mark.usefixtures("mended")
def test_an_alarm_scales_out_and_calls(server: Product, shop: WorkingCopy, receiver: Receiver) -> None:
    call = {"kind": "call", "url": receiver.url("hook"), "headers": {"X-Key": "s3same"}}
    scale = {"kind": "scale", "by": 1, "maximum": 2}
    alarm = server.client.create_alarm(quick(name="out", on_alarm=[scale, call]))
    until_state(server, alarm["id"], "OK")
    server.visit("boutique.localhost", "/break")
    change = until_delivered(server, alarm["id"], "ALARM")
    assert [each["state"] for each in change["deliveries"]] == ["delivered", "delivered"], change
    eventually(lambda: server.client.show_environment("boutique", "prod")["serving"] == 2, "two instances")
    (called,) = receiver.bodies("hook")
    assert (called["alarm"], called["state"], called["environment"]) == ("out", "ALARM", "prod")
    assert list(receiver.keys("hook").values()) == [1]
    (scaled,) = server.client.list_events(project="boutique", action="environment:Scale")
    assert scaled["actor"] == "alarm" and "alarm out: 1 of the last 1 values is > 5" in str(scaled["details"])
    assert "s3same" not in server.log.read_text() + str(server.client.show_alarm(alarm["id"]))
    server.visit("boutique.localhost", "/mend")
    until_state(server, alarm["id"], "OK")
    server.client.delete_alarm(alarm["id"])
    server.client.scale_environment("boutique", "prod", None)


@pytest.mark.usefixtures("mended")
def test_an_alarm_rolls_a_bad_release_back(server: Product, shop: WorkingCopy, receiver: Receiver) -> None:
    alarm = server.client.create_alarm(
        quick(
            name="back", on_alarm=[{"kind": "rollback"}, {"kind": "tell", "to": [receiver.address("back")]}]
        )
    )
    until_state(server, alarm["id"], "OK")
    shop.deploy(shop_files("v2", bad=True))
    change = until_delivered(server, alarm["id"], "ALARM")
    assert {each["state"] for each in change["deliveries"]} == {"delivered"}, change
    eventually(lambda: server.visit("boutique.localhost", "/shop").body == "v1", "the release before")
    until_delivered(server, alarm["id"], "OK")
    assert receiver.titles("back") == ["ALARM: back (prod of boutique)"]
    (rolled,) = server.client.list_events(project="boutique", action="environment:Rollback")
    assert rolled["actor"] == "alarm"
    server.client.delete_alarm(alarm["id"])


@pytest.mark.usefixtures("mended")
def test_an_alarm_is_mute_while_a_deployment_runs(
    server: Product, shop: WorkingCopy, receiver: Receiver
) -> None:
    tell = {"kind": "tell", "to": [receiver.address("muted")]}
    alarm = server.client.create_alarm(
        quick(name="muted", mute_while_deploying=True, on_alarm=[tell], on_ok=[tell])
    )
    until_state(server, alarm["id"], "OK")
    # A start of half a minute: the errors begin and end within it.
    shop.commit(shop_files("v3", start_s=30))
    run = shop.push()

    def is_deploying() -> bool:
        return bool(server.client.show_environment("boutique", "prod")["deployment"])

    eventually(is_deploying, "the deployment to begin")
    server.visit("boutique.localhost", "/break")
    until_state(server, alarm["id"], "ALARM")
    (change,) = server.client.list_alarm_changes(alarm["id"], limit=1)
    assert [each["state"] for each in change["deliveries"]] == ["held"]
    server.visit("boutique.localhost", "/mend")
    until_state(server, alarm["id"], "OK")
    assert server.until_run(run["id"])["state"] == "succeeded"
    changes = eventually(lambda: _when_nothing_is_held(server, alarm["id"]), "the end of the silence")
    assert [each["state"] for change in changes[:2] for each in change["deliveries"]] == ["dropped"] * 2
    assert receiver.titles("muted") == []
    server.client.delete_alarm(alarm["id"])


def _when_nothing_is_held(server: Product, alarm: int) -> list[Document] | None:
    changes = server.client.list_alarm_changes(alarm)
    states = {each["state"] for change in changes for each in change["deliveries"]}
    return None if states & {"held", "waiting"} else changes
