from dataclasses import replace

from halage.balancer.drivers.haproxy.figures import Counters, Figures
from halage.balancer.drivers.haproxy.layout import Placed
from halage.balancer.drivers.haproxy.runtime import (
    Server,
    map_commands,
    read_map,
    read_servers,
    read_statistics,
    removal_commands,
    server_commands,
)
from halage.balancer.drivers.haproxy.statuses import last_check
from halage.balancer.model import Route, Target

ROUTE = Route("shop.prod", ("shop.example",), fails_open=False)
ONE = Target("one", "127.0.0.1", 80)
UP = Server("127.0.0.1", 80, 100, is_off=False, is_draining=False)
DRAINING = Server("127.0.0.1", 80, 100, is_off=False, is_draining=True)
OFF = Server("127.0.0.1", 80, 100, is_off=True, is_draining=False)

SERVERS = """1
# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight srv_iweight srv_port
4 s1 1 one 127.0.0.1 2 0 100 100 80
4 s1 2 two 127.0.0.2 0 13 5 5 81
5 s2 1 three 127.0.0.3 2 8 1 1 82

"""


def test_servers_are_read() -> None:
    assert read_servers(SERVERS) == {
        "s1": {"one": UP, "two": Server("127.0.0.2", 81, 5, is_off=True, is_draining=True)},
        "s2": {"three": Server("127.0.0.3", 82, 1, is_off=False, is_draining=True)},
    }
    assert read_servers("\n") == {}
    assert read_servers("Can't find backend.\n") == {}


def test_map_and_statistics_are_read() -> None:
    assert read_map("0x55 a.example s0001\n0x56 b.example s0002\n\n") == {
        "a.example": "s0001",
        "b.example": "s0002",
    }
    assert read_statistics("# pxname,svname,smax,scur,\ns1,one,7,3,\n\n> ") == [
        {"pxname": "s1", "svname": "one", "scur": "3"}
    ]
    assert read_statistics("\n") == []


def test_map_is_brought_to_what_is_wanted() -> None:
    assert map_commands("m", {"a": "1", "b": "2", "c": "3"}, {"a": "1", "b": "9", "d": "4"}) == [
        "set map m b 2",
        "add map m c 3",
        "del map m d",
    ]


def test_missing_server_is_added_ready_and_checked() -> None:
    assert server_commands("s1", {"one": Placed(ONE)}, {}, ROUTE) == [
        "add server s1/one 127.0.0.1:80 check inter 800ms fastinter 100ms fall 2 rise 2 "
        "observe layer7 error-limit 3 on-error fastinter weight 100 "
        "pool-purge-delay 5s pool-max-conn -1",
        "enable health s1/one",
        "set server s1/one state ready",
    ]


def test_server_that_is_as_it_should_be_is_left_alone() -> None:
    assert server_commands("s1", {"one": Placed(ONE)}, {"one": UP}, ROUTE) == []
    assert server_commands("s1", {"one": Placed(ONE, True)}, {"one": DRAINING}, ROUTE) == []


def test_server_is_drained_brought_back_and_corrected() -> None:
    assert server_commands("s1", {"one": Placed(ONE, True)}, {"one": UP}, ROUTE) == [
        "set server s1/one state drain"
    ]
    for present in (DRAINING, OFF):
        assert server_commands("s1", {"one": Placed(ONE)}, {"one": present}, ROUTE) == [
            "set server s1/one state ready"
        ]
    moved = Target("one", "127.0.0.9", 81, weight=7)
    assert server_commands("s1", {"one": Placed(moved)}, {"one": UP}, ROUTE) == [
        "set server s1/one addr 127.0.0.9 port 81",
        "set server s1/one weight 7",
    ]


def test_server_that_gets_a_share_by_lot_has_no_weight_once_it_is_known() -> None:
    drawn = {"one": Placed(replace(ONE, share=10))}
    assert server_commands("s1", drawn, {}, ROUTE)[-2:] == [
        "set server s1/one state ready",
        "set server s1/one weight 0",
    ]
    assert server_commands("s1", drawn, {"one": UP}, ROUTE) == ["set server s1/one weight 0"]
    known = {"one": replace(UP, weight=0)}
    assert server_commands("s1", drawn, known, ROUTE) == []
    assert server_commands("s1", {"one": Placed(ONE)}, known, ROUTE) == ["set server s1/one weight 100"]


def test_server_that_is_not_wanted_is_taken_away() -> None:
    assert removal_commands("s1", {"one": Placed(ONE)}, {"one": UP, "two": UP}) == [
        "set server s1/two state maint",
        "shutdown sessions server s1/two",
        "del server s1/two",
    ]


def test_check_in_words() -> None:
    row = {"check_status": "* L7OK", "check_code": "200", "check_duration": "1"}
    assert last_check(row) == "L7OK/200 in 1 ms"
    assert last_check({"check_status": "L4CON", "check_duration": "0"}) == "L4CON in 0 ms"
    assert last_check({"check_status": "INI"}) == "not checked yet"
    assert last_check({}) == "not in HAProxy yet"


def test_counters_go_on_through_a_reload_and_a_death() -> None:
    figures = Figures()
    key = ("s1", "one")
    figures.observe({key: Counters(10, 1, 100, 1000)})
    figures.turn_over(former=1)
    assert figures.total(key) == Counters(10, 1, 100, 1000)
    figures.observe({key: Counters(2, 0, 20, 200)})
    figures.observe_finishing(1, {key: Counters(13, 1, 130, 1300)})
    figures.observe_finishing(1, {key: Counters(13, 1, 130, 1300)})
    assert figures.total(key) == Counters(15, 1, 150, 1500)
    figures.turn_over()
    assert figures.total(key) == Counters(15, 1, 150, 1500)
    figures.forget(key)
    assert figures.total(key) == Counters()
