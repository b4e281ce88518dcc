import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from halage.balancer.model import Certificate, HealthCheck, Https, Route, Target, Timeouts
from halage.balancer.rules import (
    covers,
    find_route_problem,
    find_target_problem,
    judge,
    out_within_s,
    share_sources,
)
from halage.environment.routing import route_of
from halage.site.model import EnvironmentPlan

SHOP = Route("shop.prod", ("shop.example",))


@pytest.mark.parametrize(
    ("route", "words"),
    [
        (Route("shop prod", ()), "name"),
        (Route("", ()), "name"),
        (Route("a", ("shop.example:80",)), "not a host name"),
        (Route("a", ("*.example",)), "not a host name"),
        (Route("a", ("-a.example",)), "not a host name"),
        (Route("a", ("a..b",)), "not a host name"),
        (Route("a", ("",)), "not a host name"),
        (Route("a", ("a b\nc",)), "not a host name"),
        (Route("a", ("a" * 254,)), "not a host name"),
        (Route("a", (), algorithm="random"), "leastconn, roundrobin"),
        (Route("a", (), HealthCheck(path="up")), "path"),
        (Route("a", (), HealthCheck(path="/a b")), "path"),
        (Route("a", (), HealthCheck(path="/;del server s0001/one")), "path"),
        (Route("a", (), HealthCheck(path="/\n")), "path"),
        (Route("a", (), HealthCheck(interval_s=0)), "interval"),
        (Route("a", (), HealthCheck(timeout_s=float("nan"))), "timeout"),
        (Route("a", (), HealthCheck(rise=0)), "rise"),
        (Route("a", (), HealthCheck(fall=101)), "fall"),
        (Route("a", (), timeouts=Timeouts(connect_s=0)), "connect time-out of 0 s"),
        (Route("a", (), timeouts=Timeouts(queue_s=float("nan"))), "queue time-out"),
        (Route("a", (), slow_start_s=-1), "slow start"),
        (Route("a", (), most_connections=-1), "connections"),
        (Route("a", (), allowed=("192.0.2.1/24",)), "has host bits set"),
        (Route("a", (), allowed=("shop.example",)), "not an address or range"),
        (Route("a", ("a.example",), https=Https.ON), "no certificate"),
    ],
)
def test_unusable_route_is_refused_with_the_reason(route: Route, words: str) -> None:
    problem = find_route_problem(route)
    assert problem is not None
    assert words in problem


@pytest.mark.parametrize(
    "host", ["a", "localhost", "dev.shop.localhost", "xn--caf-dma.example", "a_b.example"]
)
def test_host_names_that_are_usable(host: str) -> None:
    assert find_route_problem(Route("shop.prod", (host,), HealthCheck("/up?full=1&x=%20"))) is None


@pytest.mark.parametrize(
    "target",
    [
        Target("a b", "127.0.0.1", 80),
        Target("a", "localhost", 80),
        Target("a", "127.0.0.1", 0),
        Target("a", "127.0.0.1", 65536),
        Target("a", "127.0.0.1", 80, weight=257),
        Target("a", "127.0.0.1", 80, share=0.0),
        Target("a", "127.0.0.1", 80, share=101.0),
    ],
)
def test_unusable_target_is_refused(target: Target) -> None:
    assert find_target_problem(target) is not None


def test_ipv6_target_is_usable() -> None:
    assert find_target_problem(Target("a", "::1", 80)) is None


def test_first_of_two_new_routes_gets_the_host() -> None:
    verdict = judge([SHOP, Route("copy.prod", ("x.example", "SHOP.example."))], {})
    assert [route.name for route in verdict.accepted] == ["shop.prod"]
    assert verdict.refused == {"copy.prod": "the host name shop.example belongs to shop.prod"}


def test_route_that_is_served_keeps_its_host_against_a_new_one() -> None:
    verdict = judge([Route("copy.prod", ("shop.example",)), SHOP], {"shop.prod": SHOP})
    assert [route.name for route in verdict.accepted] == ["shop.prod"]
    assert set(verdict.refused) == {"copy.prod"}


def test_host_moves_from_one_route_to_another() -> None:
    other = Route("other.prod", ("other.example",))
    moved = Route("other.prod", ("other.example", "shop.example"))
    verdict = judge([moved, Route("shop.prod", ())], {"shop.prod": SHOP, "other.prod": other})
    assert verdict.refused == {}
    assert moved in verdict.accepted


def test_route_that_turns_bad_stays_as_it_was() -> None:
    bad = Route("shop.prod", ("shop.example",), HealthCheck(path="nowhere"))
    verdict = judge([bad], {"shop.prod": SHOP})
    assert verdict.accepted == (SHOP,)
    assert set(verdict.refused) == {"shop.prod"}


def test_route_given_twice_counts_once() -> None:
    verdict = judge([SHOP, Route("shop.prod", ("b.example",))], {"shop.prod": SHOP})
    assert verdict.accepted == (SHOP,)
    assert "twice" in verdict.refused["shop.prod"]


@pytest.mark.parametrize(
    ("host", "is_covered"),
    [
        ("shop.example", True),
        ("www.shop.example", True),
        ("a.www.shop.example", False),
        ("shop.example.evil", False),
        ("example", False),
        (".shop.example", False),
    ],
)
def test_star_stands_for_one_label(host: str, is_covered: bool) -> None:
    certificate = Certificate("", "", ("shop.example", "*.shop.example"), 0.0)
    assert covers(certificate, host) is is_covered


def test_route_without_https_is_served_where_there_is_none() -> None:
    secure = Route(
        "a.prod", ("a.example",), https=Https.ON, certificate=Certificate("", "", ("a.example",), 0)
    )
    verdict = judge([SHOP, secure], {}, no_https="no door")
    assert [route.name for route in verdict.accepted] == ["shop.prod"]
    assert verdict.refused == {"a.prod": "no door"}


_RANGES = st.tuples(st.integers(0, 2**8 - 1), st.integers(24, 32)).map(
    lambda each: str(ipaddress.ip_network((0x0A000000 + each[0], each[1]), strict=False))
)


@given(
    st.dictionaries(st.sampled_from(["a", "b", "c"]), st.lists(_RANGES, max_size=5)),
    st.integers(0, 2**8 - 1).map(lambda n: ipaddress.ip_address(0x0A000000 + n)),
)
def test_narrowest_range_holds_everyone_who_allows_an_address(
    allowed: dict[str, list[str]], address: ipaddress.IPv4Address
) -> None:
    shared = {ipaddress.ip_network(net): names for net, names in share_sources(allowed).items()}
    around = [net for net in shared if address in net]
    found = shared[max(around, key=lambda net: net.prefixlen)] if around else ()
    assert set(found) == {
        name for name, nets in allowed.items() if any(address in ipaddress.ip_network(net) for net in nets)
    }


@pytest.mark.parametrize(
    ("check", "connect_s", "seconds"),
    [
        # Just behind a passed check, then two that end by the time-out, an eighth of the interval apart.
        (HealthCheck(), 2.0, 0.945 + 2 * 0.9),
        # Where not even a connection comes about, the interval ends a check.
        (HealthCheck(timeout_s=0.1), 2.0, 0.945 + 2 * 0.8),
        (HealthCheck(timeout_s=0.1), 0.3, 0.945 + 2 * 0.3),
        (HealthCheck(interval_s=2.0, timeout_s=5.0, fall=3), 2.0, 2.5 * 1.05 + 15.0),
    ],
)
def test_longest_that_one_which_answers_nothing_may_stay(
    check: HealthCheck, connect_s: float, seconds: float
) -> None:
    assert out_within_s(check, connect_s) == pytest.approx(seconds)


def test_whatever_fails_is_out_within_three_seconds_by_default() -> None:
    assert out_within_s(HealthCheck(), Timeouts().connect_s) <= 3.0
    plan = EnvironmentPlan("prod")
    check = route_of(("shop", "prod"), plan, "halage.test", None)
    assert (check.health, check.timeouts, check.fails_open) == (HealthCheck(), Timeouts(), True)
