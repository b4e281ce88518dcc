"""Pieces of long lines, merges, names."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from halage.monitor.logs.errors import BadLogFilter
from halage.monitor.logs.gatherer import _split
from halage.monitor.logs.masking import MASK, Mask
from halage.monitor.logs.model import Group
from halage.monitor.logs.rules import (
    BLOCK_BYTES,
    CONTINUED,
    FINAL,
    LONGEST_LINE,
    MERGED_TOGETHER,
    Merge,
    OpenBlock,
    check_metric_name,
    find_cut,
    pieces_of,
    plan_merge,
)


def _blocks(*sizes: tuple[int, int]) -> list[OpenBlock]:
    return [OpenBlock(number, level, size) for number, (level, size) in enumerate(sizes)]


@pytest.mark.parametrize(
    ("blocks", "expected"),
    [
        ([], None),
        (_blocks((0, 10)), None),
        (_blocks((0, BLOCK_BYTES)), Merge((0,), FINAL)),
        (_blocks((1, 10), (0, BLOCK_BYTES - 10), (0, 5)), Merge((0, 1), FINAL)),
        (_blocks(*[(0, 1)] * (MERGED_TOGETHER - 1)), None),
        (_blocks(*[(0, 1)] * MERGED_TOGETHER), Merge(tuple(range(MERGED_TOGETHER)), 1)),
        (
            _blocks((1, 1), *[(0, 1)] * MERGED_TOGETHER),
            Merge(tuple(range(1, MERGED_TOGETHER + 1)), 1),
        ),
        (
            _blocks(*[(1, 1)] * MERGED_TOGETHER, (0, 1)),
            Merge(tuple(range(MERGED_TOGETHER)), 2),
        ),
    ],
)
def test_what_is_merged_next(blocks: list[OpenBlock], expected: Merge | None) -> None:
    assert plan_merge(blocks) == expected


@settings(max_examples=15)
@given(st.lists(st.integers(1, BLOCK_BYTES // 3), max_size=200))
def test_merging_keeps_the_order_and_ends(sizes: list[int]) -> None:
    kept: list[tuple[int, int, int]] = []  # level, size, first
    rewritten = 0
    for number, size in enumerate(sizes):
        kept.append((0, size, number))
        while True:
            opened = [(at, *each) for at, each in enumerate(kept) if each[0] < FINAL]
            plan = plan_merge([OpenBlock(at, level, size) for at, level, size, _ in opened])
            if plan is None:
                break
            assert list(plan.ids) == list(range(plan.ids[0], plan.ids[-1] + 1)), "neighbours alone are merged"
            merged = [kept[at] for at in plan.ids]
            rewritten += sum(each[1] for each in merged)
            kept[plan.ids[0] : plan.ids[-1] + 1] = [(plan.level, sum(e[1] for e in merged), merged[0][2])]
    assert [first for _, _, first in kept] == sorted(first for _, _, first in kept)
    assert sum(size for _, size, _ in kept) == sum(sizes)
    assert rewritten <= 4 * sum(sizes)


@pytest.mark.parametrize("size", [LONGEST_LINE + 1, 3 * LONGEST_LINE, 10 * 1024**2 + 7])
def test_a_long_line_is_kept_in_marked_pieces(size: int) -> None:
    line = bytes(range(32, 127)) * (size // 95 + 1)
    pieces = list(pieces_of(line[:size]))
    assert all(piece.endswith(CONTINUED) for piece in pieces[:-1])
    assert not pieces[-1].endswith(CONTINUED)
    assert b"".join(piece.removesuffix(CONTINUED) for piece in pieces) == line[:size]


def test_line_breaks_in_a_line_make_lines() -> None:
    assert list(pieces_of(b"one\n\ntwo")) == [b"one", b"", b"two"]
    assert list(pieces_of(b"")) == [b""]


@given(st.integers(1, 40), st.integers(0, 40))
def test_no_secret_is_cut_in_two(at: int, start: int) -> None:
    secrets = (b"hunter2hunter2", b"er2hunt")
    text = b"." * start + b"hunter2hunter2" + b"." * 40
    cut = find_cut(text, at, secrets)
    assert cut <= at
    for secret in secrets:
        place = text.find(secret)
        while place >= 0:
            assert not place < cut < place + len(secret)
            place = text.find(secret, place + 1)


@settings(max_examples=15)
@given(st.lists(st.integers(500, 5000), min_size=1, max_size=8), st.integers(0, 300_000))
def test_a_secret_in_a_flood_without_line_breaks_is_masked(reads: list[int], place: int) -> None:
    mask = Mask(["correct horse\nbattery staple"])
    data = b"x" * place + b"correct horse" + b"y" * 300_000 + b"\n"
    texts: list[bytes] = []
    rest, at = b"", 0
    steps = [size * 100 for size in reads]
    while at < len(data):
        step = steps[at % len(steps)]
        found, rest = _split(rest + data[at : at + step], mask)
        texts += [mask.apply(text) for text in found]
        at += step
    assert rest == b""
    whole = b"".join(text.removesuffix(CONTINUED) for text in texts)
    assert whole == data[:-1].replace(b"correct horse", MASK)


@pytest.mark.parametrize(
    ("name", "project", "environment"),
    [
        ("halage", None, None),
        ("shop/builds", "shop", None),
        ("shop.prod/access", "shop", "prod"),
        ("shop.prod/instances", "shop", "prod"),
    ],
)
def test_groups_are_read_by_their_names(name: str, project: str | None, environment: str | None) -> None:
    assert Group.named(name) == Group(name, project, environment)


@pytest.mark.parametrize(
    "name", ["", "shop", "shop/instances", "shop.prod/builds", "../x", "Shop/builds", "a.b.c/access"]
)
def test_what_is_no_group_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="no group"):
        Group.named(name)


@pytest.mark.parametrize(
    "name", ["instance_cpu", "halage_x", "environment_x", "machine_x", "7x", "", "a b", "x" * 101]
)
def test_names_that_a_metric_cannot_have(name: str) -> None:
    with pytest.raises(BadLogFilter, match=r"cannot be named"):
        check_metric_name(name)


def test_a_metric_may_be_named_as_others_name_theirs() -> None:
    for name in ("failed_logins", "shop.checkout:errors", "Errors-2"):
        check_metric_name(name)
