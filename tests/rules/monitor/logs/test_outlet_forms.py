"""How lines look outside, and which addresses there are."""

import json
import re

import pytest

from halage.monitor.logs.collector import json_lines
from halage.monitor.logs.errors import BadOutlet
from halage.monitor.logs.model import KeptLine
from halage.monitor.logs.outlets import kind_of
from halage.monitor.logs.syslog import message_of

AT = 1_700_000_000.25
RFC_5424 = re.compile(
    rb"<(\d{1,3})>1 \d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z ([!-~]{1,255}) ([!-~]{1,48}) "
    rb"([!-~]{1,128}) ([!-~]{1,32}) - (.*)",
    re.DOTALL,
)


def _line(text: bytes, group: str = "shop.prod/instances", stream: str = "i-1") -> KeptLine:
    return KeptLine(7, AT, group, stream, text)


def test_a_line_as_syslog_has_it() -> None:
    message = message_of(_line(b"hello \xff"), "machine")
    assert message == b"<134>1 2023-11-14T22:13:20.250Z machine shop.prod i-1 instances - hello \xff"


@pytest.mark.parametrize(
    ("text", "severity"),
    [
        (b'{"level": "error"}', 3),
        (b'{"level": "WARNING"}', 4),
        (b'{"level": "debug"}', 7),
        (b'{"level": 50}', 6),
        (b"error", 6),
    ],
)
def test_the_level_of_a_json_line_is_its_severity(text: bytes, severity: int) -> None:
    assert message_of(_line(text), "machine").startswith(b"<%d>1 " % (16 * 8 + severity))


def test_whatever_a_stream_is_called_the_message_has_the_form() -> None:
    for stream in ("", "a b", "é" * 200, "\n"):
        for group in ("halage", "p" * 63 + "." + "e" * 63 + "/access"):
            assert RFC_5424.fullmatch(message_of(_line(b"", group, stream), "a machine"))


def test_lines_as_a_collector_has_them() -> None:
    documents = [json.loads(each) for each in json_lines([_line(b"a"), _line(b"\xff")]).splitlines()]
    assert documents[0] == {
        "id": 7,
        "at": "2023-11-14T22:13:20.250Z",
        "group": "shop.prod/instances",
        "stream": "i-1",
        "text": "a",
    }
    assert documents[1]["text"] == "\ufffd"


@pytest.mark.parametrize(
    ("address", "kind"),
    [
        ("udp://10.0.0.1:514", "syslog"),
        ("tcp://logs.example.org:601", "syslog"),
        ("tls://logs.example.org:6514", "syslog"),
        ("http://logs.example.org/x?y=1", "http"),
        ("https://logs.example.org", "http"),
    ],
)
def test_addresses(address: str, kind: str) -> None:
    assert kind_of(address) == kind


@pytest.mark.parametrize(
    "address",
    [
        "",
        "x",
        "udp://host",
        "tcp://:514",
        "file:///etc/passwd",
        "https://user:pw@host/",
        "tcp://host:99999",
        "tcp://h:1/x",
    ],
)
def test_other_addresses_are_refused(address: str) -> None:
    with pytest.raises(BadOutlet, match="cannot be sent"):
        kind_of(address)
