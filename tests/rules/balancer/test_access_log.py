"""Lines of the access log, and which part of it the disk gets back."""

import json
from pathlib import Path

import pytest

from halage.balancer.drivers.haproxy.access_log import keep_small, parse_lines, read_lines
from halage.balancer.model import LogPlace, Visit

GOOD = b'1795597276401 A:1 127.0.0.1 shop.prod s0001 i-1 GET 200 49 3 1 2 30 40 -- "shop.localhost" "/a%20b"'
TOLD = (
    b'{"method":"GET","path":"/a%20b","status":200,"response_ms":33,"bytes":49,"host":"shop.localhost",'
    b'"client":"127.0.0.1","instance_ms":30,"queue_ms":1,"request_id":"A:1","ended":"--"}'
)
BLOCK = 4096


def fields(**changes: str) -> bytes:
    names = ["at", "id", "client", "route", "slot", "target", "method", "status", "bytes"]
    names += ["tr", "tw", "tc", "first", "ta", "end"]
    values = dict(zip(names, GOOD.decode().split(" ")[:15], strict=True)) | changes
    return (" ".join(values.values()) + ' "shop.localhost" "/"').encode()


def only(line: bytes) -> Visit:
    (visit,) = parse_lines(line + b"\n", 0)
    return visit


def test_a_line_is_read() -> None:
    assert only(GOOD) == Visit(1795597276.401, "shop.prod", "i-1", 200, 30, 33, TOLD, len(GOOD) + 1)


def test_offsets_go_on_from_the_beginning_of_the_piece() -> None:
    visits = parse_lines(GOOD + b"\nxyz\n\n" + GOOD + b"\n", 1000)
    assert [visit.end for visit in visits] == [
        1001 + len(GOOD),
        1005 + len(GOOD),
        1006 + len(GOOD),
        1007 + 2 * len(GOOD),
    ]


@pytest.mark.parametrize(
    ("line", "told"),
    [
        (
            fields(status="-1", bytes="0", tw="-1", first="-1"),
            {"status": None, "instance_ms": None, "queue_ms": None},
        ),
        (GOOD.replace(b'"/a%20b"', rb'"/a"b\c"'), {"path": r'/a"b\c'}),
        (GOOD.replace(b'"/a%20b"', b'"/\xff\x00' + b"a" * 2000), {"path": "/\ufffd\0" + "a" * 2000}),
        (GOOD.replace(b"shop.localhost", b'"}\r{"'), {"host": '"}\r{"'}),
        (GOOD.removesuffix(b'.localhost" "/a%20b"'), {"host": "shop", "path": ""}),
        (fields(method='<"B>'), {"method": '<"B>'}),
    ],
)
def test_a_line_is_told_in_json_whatever_a_visitor_sent(line: bytes, told: dict[str, object]) -> None:
    text = only(line).text
    assert b"\n" not in text
    assert json.loads(text).items() >= told.items()


def test_an_answer_of_the_balancer_itself_has_no_target() -> None:
    visit = only(fields(target="<NOSRV>", status="503", tr="5", tw="100", tc="-1", first="-1", ta="105"))
    assert (visit.target, visit.status, visit.target_ms, visit.response_ms) == (None, 503, None, 100)


def test_a_visitor_who_left_or_spoke_nonsense_has_no_response_time() -> None:
    for line in (
        fields(status="-1", first="-1", ta="7000"),
        fields(route="-", slot="visitors", target="<NOSRV>", method="<BADREQ>", status="400", first="-1"),
    ):
        assert only(line).response_ms is None
    assert only(fields(route="-")).route is None


def test_what_a_visitor_chooses_changes_nothing() -> None:
    evil = GOOD.replace(b"shop.localhost", b'x" 1795597276401 B:2 127.0.0.1 blog.prod \r\x85\xff "')
    assert only(evil)[:6] == only(GOOD)[:6]


def test_a_line_that_cannot_be_read_is_passed_on_as_it_is() -> None:
    for line in (b"", b"[NOTICE] something", GOOD[:60], b"\xff\xfe", GOOD.replace(b" 200 ", b" 2x0 ")):
        visit = only(line)
        assert visit == Visit(None, None, None, -1, None, None, line, len(line) + 1)


def test_only_whole_lines_are_read_and_reading_goes_on(tmp_path: Path) -> None:
    log = tmp_path / "access.log"
    assert read_lines(tmp_path, None, 100).visits == ()
    log.write_bytes(GOOD + b"\n" + GOOD[:10])
    first = read_lines(tmp_path, None, 65536)
    assert ([v.text for v in first.visits], first.is_all) == ([TOLD], True)
    with log.open("ab") as file:
        file.write(GOOD[10:] + b"\n")
    second = read_lines(tmp_path, first.place, 65536)
    assert [v.text for v in second.visits] == [TOLD]
    assert read_lines(tmp_path, second.place, 65536).visits == []


def test_a_piece_is_not_longer_than_asked_for(tmp_path: Path) -> None:
    (tmp_path / "access.log").write_bytes((GOOD + b"\n") * 10)
    part = read_lines(tmp_path, None, 3 * len(GOOD) + 10)
    assert (len(part.visits), part.is_all) == (3, False)


def test_another_file_is_read_from_its_beginning(tmp_path: Path) -> None:
    log = tmp_path / "access.log"
    log.write_bytes(GOOD + b"\n")
    place = read_lines(tmp_path, None, 65536).place
    assert len(read_lines(tmp_path, LogPlace(place.file + 1, place.offset), 65536).visits) == 1
    assert len(read_lines(tmp_path, LogPlace(place.file, place.offset + 1), 65536).visits) == 1


def test_what_nobody_has_read_is_kept_to_the_hard_limit(tmp_path: Path) -> None:
    log = tmp_path / "access.log"
    lines = (GOOD + b"\n") * (64 * BLOCK // (len(GOOD) + 1))
    log.write_bytes(lines)
    limit = 32 * BLOCK
    keep_small(tmp_path, limit)
    assert len(read_lines(tmp_path, None, 1 << 20).visits) == lines.count(b"\n")
    keep_small(tmp_path, 8 * BLOCK)
    part = read_lines(tmp_path, None, 1 << 20)
    kept = len(part.visits) * (len(GOOD) + 1)
    assert part.lost_bytes + kept == len(lines)
    assert 14 * BLOCK <= kept <= 17 * BLOCK
    assert all(v.at is not None for v in part.visits)


def test_what_was_read_is_given_back(tmp_path: Path) -> None:
    log = tmp_path / "access.log"
    log.write_bytes((GOOD + b"\n") * (64 * BLOCK // (len(GOOD) + 1)))
    place = read_lines(tmp_path, None, 20 * BLOCK).place
    size = log.stat().st_size
    keep_small(tmp_path, 32 * BLOCK, place)
    assert log.stat().st_size == size
    assert log.stat().st_blocks * 512 <= 46 * BLOCK
    part = read_lines(tmp_path, place, 1 << 20)
    assert part.lost_bytes == 0
    keep_small(tmp_path, 32 * BLOCK, LogPlace(place.file + 1, size))
    assert log.stat().st_blocks * 512 >= 44 * BLOCK
    keep_small(tmp_path, 32 * BLOCK, part.place)
    assert log.stat().st_blocks * 512 <= 18 * BLOCK


def test_a_line_without_end_stops_nothing(tmp_path: Path) -> None:
    (tmp_path / "access.log").write_bytes(b"x" * 10_000 + b"\n" + GOOD + b"\n")
    first = read_lines(tmp_path, None, 8192)
    assert [len(v.text) for v in first.visits] == [8192]
    assert read_lines(tmp_path, first.place, 8192).visits[-1].text == TOLD
