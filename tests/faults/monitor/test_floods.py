"""A site that prints 100 MiB in a second, binary, lines of 10 MB: its own lines suffer, and nothing else."""

import json
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.ports import unused_port
from tests.product import Document, Product, WorkingCopy, eventually, product
from tests.sites import site, toml_of

MIB = 1024**2
FLOOD_MIB = 1500
MEMORY_MIB = 400
"""More than the control plane may ever have used. Without a flood it is some 130."""

# It prints what is asked for, 100 MiB in a second, and says how many floods are over.
BEFORE = """\
import hashlib, random, threading, urllib.parse
PRINTED = [0]


def write(data):
    while data:
        data = data[os.write(1, data):]


def flood(mib, kind):
    binary = bytes(random.Random(1).randbytes(1 << 20))
    lines = b"".join(b"%015d\\n" % number for number in range(1 << 16))
    begin = time.monotonic()
    for number in range(mib):
        write(binary if kind == "binary" else lines)
        time.sleep(max(0.0, begin + number / 100 - time.monotonic()))
    write(b"\\nthe flood is over: %s\\n" % kind.encode())
    PRINTED[0] += 1


def act(path):
    verb, _, words = path.strip("/").partition("/")
    if verb == "flood":
        mib, kind = words.split("/")
        threading.Thread(target=flood, args=(int(mib), kind), daemon=True).start()
    elif verb == "say":
        write(urllib.parse.unquote_to_bytes(words) + b"\\n")
    elif verb == "long":
        write(b"begin" + b"x" * (10 << 20) + b"end\\nafter the long line\\n")
    return 200, str(PRINTED[0]).encode()
"""


@pytest.fixture(scope="module")
def server() -> Iterator[Product]:
    with product(unused_port(), unused_port()) as one:
        yield one


@pytest.fixture(scope="module")
def sites(server: Product) -> Iterator[tuple[str, str]]:
    names = ("loud", "quiet")
    for name in names:
        WorkingCopy(server, name).deploy(site("", toml=toml_of(), before=BEFORE, answer="act(path)"))
    yield names
    for name in names:
        server.client.delete_project(name)


def group_of(name: str) -> list[str]:
    return [f"{name}.prod/instances"]


def lines_with(server: Product, name: str, text: str) -> list[Document]:
    """Lines that hold the text, newest first."""
    page = server.client.search_logs(group_of(name), {"text": text}, limit=500)
    assert page["problems"] == []
    return list(page["lines"])


def peak_memory_mib(server: Product) -> float:
    assert server.process is not None
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    assert found is not None
    return int(found[1]) / 1024


def used_bytes(directory: Path) -> int:
    """What the files in it take on the disk; those that are removed meanwhile take nothing."""
    total = 0
    for path in directory.rglob("*"):
        with suppress(FileNotFoundError):
            if path.is_file():
                total += path.stat().st_blocks * 512
    return total


def say(server: Product, name: str, text: str) -> None:
    assert server.visit(f"{name}.localhost", f"/say/{text}").status == 200


@pytest.mark.parametrize("kind", ["binary", "lines"])
@pytest.mark.timeout(300)
def test_a_flood_costs_the_one_who_floods(server: Product, sites: tuple[str, str], kind: str) -> None:
    before = int(server.visit("loud.localhost").body)
    assert server.visit("loud.localhost", f"/flood/{FLOOD_MIB}/{kind}").status == 200
    said, most_bytes = 0, 0

    def is_over() -> bool:
        # Meanwhile people and the other site's visitors are served, and its lines are kept.
        nonlocal said, most_bytes
        say(server, "quiet", f"{kind}-{said:04}-")
        said += 1
        assert server.client.show_environment("loud", "prod")["colour"] == "green"
        most_bytes = max(most_bytes, used_bytes(server.data / "units"), used_bytes(server.data / "logs"))
        return int(server.visit("loud.localhost").body) > before

    eventually(is_over, "the end of the flood", within_s=120)
    assert said > 5
    eventually(lambda: lines_with(server, "loud", f"the flood is over: {kind}"), "its last line")
    found = eventually(
        lambda: _when_complete(lines_with(server, "quiet", f"{kind}-"), said), "every line of the other site"
    )
    assert [line["text"] for line in reversed(found)] == [f"{kind}-{number:04}-" for number in range(said)]
    marks = lines_with(server, "loud", "bytes are missing here: they came faster than logs are kept")
    missing = sum(int(mark["text"].split()[1]) for mark in marks)
    assert missing > 0
    print(f"{missing / MIB:.0f} MiB left out, {most_bytes / MIB:.0f} MiB of disk at most")
    assert most_bytes < FLOOD_MIB * MIB, "what is not kept is given back to the disk while it goes on"
    memory_mib = peak_memory_mib(server)
    print(f"{memory_mib:.0f} MiB of memory at most")
    assert memory_mib < MEMORY_MIB


def _when_complete(found: list[Document], count: int) -> list[Document] | None:
    return found if len(found) == count else None


def test_what_was_left_out_is_counted(server: Product, sites: tuple[str, str]) -> None:
    marks = lines_with(server, "loud", "bytes are missing here")
    missing = sum(int(mark["text"].split()[1]) for mark in marks)

    def counted() -> bool:
        answer = server.client.query_metrics("total(sum(halage_log_bytes_skipped))", period=60)
        values = [value for line in answer["lines"] for value in line["values"] if value is not None]
        return sum(values) == missing and bool(values)

    eventually(counted, f"{missing} bytes to be counted")


def test_a_line_of_ten_megabytes_is_kept_in_marked_pieces(server: Product, sites: tuple[str, str]) -> None:
    assert server.visit("loud.localhost", "/long").status == 200
    eventually(lambda: lines_with(server, "loud", "after the long line"), "the line after it")
    mark = " [Halage: the line goes on]"
    whole, pieces = "", 0
    for text in server.client.export_logs(group_of("loud"), {"text": "xxxx"}, form="json"):
        piece = json.loads(text)["text"]
        pieces += 1
        assert len(piece) <= 256 * 1024
        whole += piece.removesuffix(mark)
    assert whole == "begin" + "x" * (10 * MIB) + "end"
    assert pieces > 40


def test_what_is_no_text_is_kept_as_it_is(server: Product, sites: tuple[str, str]) -> None:
    say(server, "quiet", "zero%00%ff%fe%1b[31m-%c3%28-end")
    (line,) = eventually(lambda: lines_with(server, "quiet", "-end"), "the line")
    assert line["text"].startswith("zero\x00") and line["text"].endswith("-end")
