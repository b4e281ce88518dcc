from halage.balancer.drivers.haproxy.configuration import (
    HOSTS_MAP,
    HTTPS_MAP,
    LOTS_MAP,
    NAMES_MAP,
    PATHS_MAP,
    RESTRICTED_MAP,
    ROUTES_MAP,
    SHARES_MAP,
    SOURCES_MAP,
    STICKY_MAP,
    STUCK_MAP,
    Place,
    narrowed,
    render_configuration,
    render_files,
    render_maps,
)
from halage.balancer.drivers.haproxy.layout import Layout, Placed, arrange, first_layout
from halage.balancer.model import HealthCheck, Route, Target

PLACE = Place("127.0.0.1", 8080, ("haproxy", "haproxy"), 2)
SHOP = Route("shop.prod", ("shop.example", "www.example"), HealthCheck("/up", 0.5, 1.5, 1, 4), "leastconn")
BLOG = Route("blog.prod", ("blog.example",))


PASSIVE = "observe layer7 error-limit 3 on-error fastinter"


def layout() -> Layout:
    placed = Placed(Target("one", "127.0.0.1", 80)), Placed(Target("two", "::1", 81, weight=5), True)
    arranged = arrange(first_layout(), [SHOP, BLOG]).layout
    for target in placed:
        arranged = arranged.with_target("shop.prod", target)
    return arranged


def section(text: str, title: str) -> list[str]:
    part = text.split(f"\n{title}\n", 1)[1]
    return [line.strip() for line in part.split("\n\n", 1)[0].splitlines() if line.strip()]


def test_slot_holds_what_cannot_change_at_run_time_and_its_servers() -> None:
    text = render_configuration(layout(), PLACE)
    lines = section(text, f"backend {layout().places['shop.prod']}")
    assert lines[:6] == [
        "balance leastconn",
        "timeout connect 2000ms",
        "timeout server 60000ms",
        "timeout queue 10000ms",
        "timeout tunnel 3600000ms",
        "timeout check 1500ms",
    ]
    assert lines[-4:] == [
        f"server one 127.0.0.1:80 check inter 500ms fastinter 100ms fall 4 rise 1 {PASSIVE} weight 100",
        f"server two [::1]:81 check inter 500ms fastinter 100ms fall 4 rise 1 {PASSIVE} weight 5 disabled",
        # The second ones are for when no first one is up: the default is to fail open.
        "server one:open 127.0.0.1:80 backup weight 100",
        "server two:open [::1]:81 backup weight 5 disabled",
    ]


def test_every_slot_is_rendered_once() -> None:
    text = render_configuration(layout(), PLACE)
    assert all(text.count(f"\nbackend {slot}\n") == 1 for slot in layout().slots)


def test_account_and_threads_are_those_of_the_place() -> None:
    text = render_configuration(layout(), PLACE)
    assert "    nbthread 2\n    user haproxy\n    group haproxy\n" in text
    plain = render_configuration(layout(), Place("::1", 80))
    assert "user haproxy" not in plain
    assert "nbthread" not in plain
    assert "bind [::1]:80\n" in plain


def test_posts_are_never_tried_again_and_reloads_are_hitless() -> None:
    text = render_configuration(layout(), PLACE)
    for line in (
        "option idle-close-on-response",
        "option redispatch 1",
        "retries 2",
        "retry-on conn-failure empty-response response-timeout",
        "http-request disable-l7-retry if !{ method GET HEAD OPTIONS PUT DELETE }",
    ):
        assert f"    {line}\n" in text


def test_maps_lead_from_hosts_to_slots_and_from_targets_to_checks() -> None:
    shop, blog = (layout().places[name] for name in ("shop.prod", "blog.prod"))
    assert render_maps(layout()) == {
        HOSTS_MAP: {"shop.example": shop, "www.example": shop, "blog.example": blog},
        PATHS_MAP: {"one": "/up", "two": "/up"},
        NAMES_MAP: {shop: "shop.example", blog: "blog.example"},
        ROUTES_MAP: {shop: "shop.prod", blog: "blog.prod"},
        **{name: {} for name in (HTTPS_MAP, RESTRICTED_MAP, SOURCES_MAP, STICKY_MAP, STUCK_MAP)},
        **{name: {} for name in (SHARES_MAP, LOTS_MAP)},
    }
    assert render_files(layout(), PLACE)[HOSTS_MAP].splitlines()[0] == f"shop.example {shop}"


def test_who_gets_a_share_by_lot_holds_lots_and_has_no_turn() -> None:
    shop = layout().places["shop.prod"]
    canaries = layout()
    for name in ("three", "four"):
        canaries = canaries.with_target("shop.prod", Placed(Target(name, "127.0.0.3", 80, share=12.5)))
    gone = Placed(Target("five", "127.0.0.4", 80, share=12.5), is_draining=True)
    canaries = canaries.with_target("shop.prod", gone)
    maps = render_maps(canaries)
    assert maps[SHARES_MAP] == {shop: "125000"}
    assert maps[LOTS_MAP] == {f"{shop}/0": "three", f"{shop}/1": "four"}
    text = render_configuration(canaries, PLACE)
    assert "server three 127.0.0.3:80" in text
    without_turn = {line.split()[1] for line in text.splitlines() if line.endswith(" weight 0")}
    assert without_turn == {"three", "three:open", "four", "four:open"}


def test_one_route_alone_can_be_tried() -> None:
    alone = narrowed(layout(), "shop.prod")
    text = render_configuration(alone, PLACE)
    assert "server one" in text
    assert list(alone.slots) == [layout().places["shop.prod"]]
