import json
from dataclasses import replace

from halage.balancer.drivers.haproxy.layout import (
    SPARE_SLOTS,
    Layout,
    Placed,
    arrange,
    first_layout,
    layout_from_document,
    layout_to_json,
)
from halage.balancer.model import Certificate, HealthCheck, Https, Route, Target, Timeouts

SHOP = Route("shop.prod", ("shop.example",))
ODD = Route("odd.prod", ("odd.example",), HealthCheck(timeout_s=1.0))
ONE = Target("one", "127.0.0.1", 80)


def served() -> Layout:
    return arrange(first_layout(), [SHOP]).layout.with_target("shop.prod", Placed(ONE))


def test_plain_route_takes_a_spare_slot() -> None:
    arranged = arrange(first_layout(), [SHOP])
    assert not arranged.needs_reload
    assert arranged.layout.places == {"shop.prod": "s0001"}
    assert len(arranged.layout.slots) == SPARE_SLOTS


def test_spares_run_out_and_a_reload_makes_new_ones() -> None:
    routes = [Route(f"r{number}", ()) for number in range(SPARE_SLOTS + 1)]
    assert not arrange(first_layout(), routes[:-1]).needs_reload
    arranged = arrange(first_layout(), routes)
    assert arranged.needs_reload
    assert len(set(arranged.layout.places.values())) == SPARE_SLOTS + 1
    assert len(arranged.layout.slots) == 2 * SPARE_SLOTS + 1


def test_odd_route_needs_a_reload_or_waits() -> None:
    assert arrange(served(), [SHOP, ODD]).needs_reload
    waiting = arrange(served(), [SHOP, ODD], allow_reload=False)
    assert waiting.waiting == ("odd.prod",)
    assert waiting.layout == served()


def test_host_names_and_path_change_without_a_reload() -> None:
    changed = Route("shop.prod", ("new.example",), HealthCheck(path="/up"))
    arranged = arrange(served(), [changed])
    assert not arranged.needs_reload
    assert arranged.layout.routes["shop.prod"] == changed
    assert arranged.layout.targets == served().targets


def test_changed_interval_needs_a_reload_only_with_targets() -> None:
    changed = replace(SHOP, health=HealthCheck(interval_s=9))
    assert arrange(served(), [changed]).needs_reload
    assert not arrange(served().without_target("shop.prod", "one"), [changed]).needs_reload
    waiting = arrange(served(), [replace(changed, hosts=("b.example",))], allow_reload=False)
    assert waiting.layout.routes["shop.prod"] == replace(SHOP, hosts=("b.example",))


def test_changed_algorithm_stays_in_its_slot() -> None:
    arranged = arrange(served(), [replace(SHOP, algorithm="roundrobin")])
    assert arranged.needs_reload
    assert arranged.layout.places == served().places
    assert arranged.layout.slots["s0001"].algorithm == "roundrobin"
    assert arranged.layout.targets == served().targets


def test_slot_of_a_route_that_is_gone_is_taken_again() -> None:
    gone = arrange(served(), [])
    assert not gone.needs_reload
    assert gone.layout.in_slot("s0001") == {}
    again = arrange(gone.layout, [Route("new.prod", ())])
    assert again.layout.places == {"new.prod": "s0001"}
    assert again.layout.in_slot("s0001") == {}


def test_layout_is_read_as_it_was_written() -> None:
    full = replace(
        SHOP,
        timeouts=Timeouts(1, 2, 3, 4),
        is_sticky=True,
        slow_start_s=5,
        most_connections=6,
        fails_open=True,
        allowed=("192.0.2.0/24",),
        https=Https.REDIRECT,
        certificate=Certificate("chain", "key", ("shop.example",), 1.0),
    )
    layout = arrange(first_layout(), [full]).layout.with_target("shop.prod", Placed(ONE, True))
    layout = replace(layout, generation=7)
    document = layout_to_json(layout)
    assert "key" not in document.replace("routes", "")
    assert layout_from_document(json.loads(document), lambda _: full.certificate) == layout


def test_first_route_with_https_needs_a_reload_and_the_second_does_not() -> None:
    secure = replace(SHOP, https=Https.ON, certificate=Certificate("chain", "key", ("*.example",), 1.0))
    waiting = arrange(served(), [secure], allow_reload=False)
    assert waiting.waiting == ("shop.prod",)
    assert waiting.layout.routes["shop.prod"].https is Https.OFF
    opened = arrange(served(), [secure])
    assert opened.needs_reload
    assert opened.layout.is_secure
    second = replace(secure, name="blog.prod", hosts=("blog.example",))
    assert not arrange(opened.layout, [secure, second]).needs_reload
    assert arrange(opened.layout, [SHOP]).layout.is_secure


def test_layout_of_an_earlier_halage_is_read() -> None:
    earlier = {
        "generation": 3,
        "form": 2,
        "slots": [{"name": "s0001", "algorithm": "roundrobin", "timeout_s": 5.0}],
        "routes": [
            {
                "name": "shop.prod",
                "hosts": ["shop.example"],
                "health": {"path": "/", "interval_s": 2.0, "timeout_s": 5.0, "rise": 2, "fall": 3},
                "algorithm": "roundrobin",
                "slot": "s0001",
                "targets": [
                    {
                        "id": "one",
                        "address": "127.0.0.1",
                        "port": 80,
                        "weight": 100,
                        "check_path": None,
                        "is_draining": False,
                    }
                ],
            }
        ],
    }
    layout = layout_from_document(earlier, lambda _: None)
    assert (layout.form, layout.doors, layout.is_secure) == (2, "", False)
    check = HealthCheck(interval_s=2.0, timeout_s=5.0, fall=3)
    former = replace(SHOP, health=check, algorithm="roundrobin", fails_open=False)
    assert layout.routes == {"shop.prod": former}
    assert not layout.slots["s0001"].fails_open
    assert layout.targets == {"shop.prod": {"one": Placed(ONE)}}


def test_a_changed_target_makes_the_text_of_its_own_route_anew_and_no_other() -> None:
    routes = [Route(f"shop.{name}", (f"{name}.example.org",)) for name in ("dev", "preprod", "prod")]
    layout = arrange(first_layout(), routes).layout
    for route in routes:
        layout = layout.with_target(route.name, Placed(Target(f"i-{route.name}", "127.0.0.1", 20000)))
    layout_to_json(layout)
    before = dict(layout.texts)
    changed = layout.with_target("shop.prod", Placed(Target("i-2", "127.0.0.1", 20001), is_draining=True))
    assert layout_from_document(json.loads(layout_to_json(changed)), _none) == changed
    assert {name for name, text in changed.texts.items() if text is not before[name]} == {"shop.prod"}
    assert layout_from_document(json.loads(layout_to_json(layout)), _none) == layout, "the former one, too"
    moved = arrange(changed, [*routes[:2], Route("shop.prod", ("www.example.org",))]).layout
    assert layout_from_document(json.loads(layout_to_json(moved)), _none) == moved


def _none(name: str) -> None:
    return None
