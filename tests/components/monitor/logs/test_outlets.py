"""Outlets over real sockets: syslog and HTTP, refusals, a collector that hangs, a restart."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from halage.base.bell import Bell
from halage.base.clock import SystemClock
from halage.base.database import Database
from halage.base.journal import Journal, read_journal
from halage.base.origin import coming_from
from halage.base.schema import metadata
from halage.base.tasks import Tasks
from halage.monitor.logs.errors import NotDelivered
from halage.monitor.logs.model import Group, KeptLine, Line, OutletState
from halage.monitor.logs.outlets import Channel, LogOutlets
from halage.monitor.logs.reader import LogReader
from halage.monitor.logs.store import Entry, KeepLimits, LogStore
from halage.monitor.logs.syslog import DatagramChannel, StreamChannel
from tests.ports import unused_port

NOW = 1_700_000_000.0
SHOP = Group.named("shop.prod/instances")
OTHER = Group.named("other.prod/instances")


async def until(condition: Callable[[], object | Awaitable[object]]) -> None:
    async with asyncio.timeout(30):
        while True:
            found = condition()
            if asyncio.iscoroutine(found):
                found = await found
            if found:
                return
            await asyncio.sleep(0.01)


class Plain:
    """A sealer that anyone can open."""

    def seal(self, text: str) -> str:
        return text[::-1]

    def open(self, sealed: str) -> str:
        return sealed[::-1]


@dataclass
class Rig:
    """A store with outlets that send from it."""

    directory: Path
    store: LogStore
    database: Database
    bell: Bell[None] = field(default_factory=Bell)

    def log(self, *texts: str, group: Group = SHOP) -> None:
        self.store.write([Entry(group, "i-1", [Line(NOW, text.encode()) for text in texts])], NOW)
        self.bell.ring(None)

    @asynccontextmanager
    async def sending(
        self, channel_to: Callable[[str, dict[str, str]], Channel] | None = None
    ) -> AsyncIterator[LogOutlets]:
        more = {} if channel_to is None else {"channel_to": channel_to}
        outlets = LogOutlets(
            self.database, SystemClock(), Plain(), LogReader(self.directory), self.bell, **more
        )
        async with Tasks() as tasks:
            tasks.start(outlets.run(), "outlets")
            yield outlets


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    database = Database(f"sqlite:///{tmp_path}/halage.db", clock=SystemClock(), journal=Journal())
    metadata.create_all(database.engine)
    store = LogStore(tmp_path, KeepLimits())
    store.open()
    yield Rig(tmp_path, store, database)
    store.close()
    database.close()


class Collector:
    """An HTTP server that takes lines, refuses, or hangs."""

    def __init__(self) -> None:
        self.port = unused_port()
        self.status = 200
        self.hangs = False
        self.lines: list[dict[str, object]] = []
        self.heads: list[str] = []
        self._server: asyncio.Server | None = None
        self._release = asyncio.Event()

    async def __aenter__(self) -> "Collector":
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._release.set()
        assert self._server is not None
        self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                self.heads.append(head)
                length = int(head.lower().partition("content-length: ")[2].partition("\r\n")[0])
                body = await reader.readexactly(length)
                if self.hangs:
                    await self._release.wait()
                if self.status == 200:
                    self.lines += [json.loads(line) for line in body.splitlines()]
                writer.write(b"HTTP/1.1 %d X\r\nContent-Length: 0\r\n\r\n" % self.status)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    @property
    def texts(self) -> list[object]:
        return [line["text"] for line in self.lines]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/lines"


async def test_lines_go_to_a_collector_from_the_moment_of_its_making(rig: Rig) -> None:
    rig.log("before")
    async with Collector() as collector, rig.sending() as outlets:
        made = await outlets.create("c", collector.url, ["shop.*"], {"X-Token": "geheim"}, actor="ada")
        assert made.header_names == ("X-Token",)
        assert "geheim" not in repr(made)
        rig.log("one", "two")
        rig.log("not wanted", group=OTHER)
        rig.log("three")
        await until(lambda: len(collector.lines) == 3)
        assert collector.texts == ["one", "two", "three"]
        assert "x-token: geheim" in collector.heads[0].lower()

        async def is_even() -> bool:
            return (await outlets.get(made.id)).behind == 0

        await until(is_even)
        assert (await outlets.get(made.id)).state is OutletState.OK


async def test_the_journal_has_an_outlet_without_what_is_secret_of_it(rig: Rig) -> None:
    async with rig.sending() as outlets:
        with coming_from("api 203.0.113.5 token ci"):
            address = f"http://127.0.0.1:{unused_port()}/in?key=s3same"
            made = await outlets.create("archive", address, ["shop.*"], {"X-Key": "s3same"}, actor="ada")
            await outlets.pause(made.id, actor="bob")
            await outlets.resume(made.id, actor="bob")
            await outlets.delete(made.id, actor="eve")
    entries = await rig.database.run(lambda tx: read_journal(tx.connection))
    address = address.replace("key=s3same", "***")
    shown = {"address": address, "groups": ["shop.*"], "headers": ["X-Key"]}
    assert [(each.action, each.actor, each.before, each.after) for each in entries] == [
        ("monitor:SetOutlet", "ada", None, shown),
        ("monitor:PauseOutlet", "bob", {"is_paused": False}, {"is_paused": True}),
        ("monitor:ResumeOutlet", "bob", {"is_paused": True}, {"is_paused": False}),
        ("monitor:DeleteOutlet", "eve", shown, None),
    ]
    assert {(each.subject, each.origin) for each in entries} == {
        ("outlet archive", "api 203.0.113.5 token ci")
    }
    assert "s3same" not in str(entries)


async def test_what_a_collector_refuses_is_sent_until_it_takes_it(rig: Rig) -> None:
    async with Collector() as collector, rig.sending() as outlets:
        collector.status = 500
        made = await outlets.create("c", collector.url, ["*"], {}, actor="ada")
        rig.log("one")

        async def fails() -> bool:
            return (await outlets.get(made.id)).state is OutletState.FAILING

        await until(fails)
        shown = await outlets.get(made.id)
        assert shown.error == "it answered 500"
        assert shown.behind == 1
        collector.status = 200
        await outlets.resume(made.id, actor="ada")  # tried at once
        await until(lambda: collector.texts == ["one"])

        async def works() -> bool:
            return (await outlets.get(made.id)).state is OutletState.OK

        await until(works)
        assert (await outlets.get(made.id)).error == ""


async def test_a_position_outlives_the_server(rig: Rig) -> None:
    async with Collector() as collector:
        async with rig.sending() as outlets:
            await outlets.create("c", collector.url, ["*"], {}, actor="ada")
            rig.log("one")
            await until(lambda: collector.texts == ["one"])
            await asyncio.sleep(0.05)
        rig.log("while it was down")
        async with rig.sending():
            await until(lambda: len(collector.lines) == 2)
        assert collector.texts == ["one", "while it was down"]


async def test_a_paused_outlet_sends_later(rig: Rig) -> None:
    async with Collector() as collector, rig.sending() as outlets:
        made = await outlets.create("c", collector.url, ["*"], {}, actor="ada")
        paused = await outlets.pause(made.id, actor="ada")
        assert paused.state is OutletState.PAUSED
        rig.log("one")
        await asyncio.sleep(0.1)
        assert collector.lines == []
        assert (await outlets.get(made.id)).behind == 1
        await outlets.resume(made.id, actor="ada")
        await until(lambda: collector.texts == ["one"])
        await outlets.delete(made.id, actor="ada")
        rig.log("two")
        await asyncio.sleep(0.1)
        assert collector.texts == ["one"]
        assert await outlets.list() == []


async def test_one_that_hangs_holds_nobody_up(rig: Rig) -> None:
    async with Collector() as good, Collector() as bad, rig.sending() as outlets:
        bad.hangs = True
        await outlets.create("bad", bad.url, ["*"], {}, actor="ada")
        await outlets.create("good", good.url, ["*"], {}, actor="ada")
        for number in range(20):
            rig.log(f"line {number}")
        await until(lambda: len(good.lines) == 20)
        shown = {each.name: each for each in await outlets.list()}
        assert shown["bad"].behind == 20


async def test_lines_that_were_removed_before_they_were_sent_are_told_of(rig: Rig) -> None:
    async with Collector() as collector, rig.sending() as outlets:
        made = await outlets.create("c", collector.url, ["*"], {}, actor="ada")
        await outlets.pause(made.id, actor="ada")
        rig.log("lost")
        rig.store.drop_old(NOW + 10**9)
        rig.log("kept")
        await outlets.resume(made.id, actor="ada")
        await until(lambda: collector.texts == ["kept"])

        async def says_so() -> bool:
            return "removed by age or size" in (await outlets.get(made.id)).error

        await until(says_so)


async def test_a_batch_that_is_too_large_is_halved(rig: Rig) -> None:
    sizes: list[int] = []
    sent: list[str] = []

    class Small:
        async def send(self, lines: Sequence[KeptLine]) -> None:
            sizes.append(len(lines))
            if len(lines) > 300:
                raise NotDelivered("it answered 413", status=413)
            sent.extend(line.words for line in lines)

        async def close(self) -> None:
            pass

    texts = [f"line {number}" for number in range(700)]
    async with rig.sending(lambda address, headers: Small()) as outlets:
        await outlets.create("c", "http://x/", ["*"], {}, actor="ada")
        rig.log(*texts)
        await until(lambda: len(sent) == 700)
    assert sent == texts
    assert sizes[0] == 700


# -- syslog


async def test_syslog_over_tcp_counts_octets_and_reconnects(rig: Rig) -> None:
    taken: list[bytes] = []
    connections: list[asyncio.StreamWriter] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections.append(writer)
        try:
            while True:
                length = int((await reader.readuntil(b" "))[:-1])
                taken.append(await reader.readexactly(length))
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server, rig.sending() as outlets:
        await outlets.create("s", f"tcp://127.0.0.1:{port}", ["*"], {}, actor="ada")
        rig.log("one", "two \xff")
        await until(lambda: len(taken) == 2)
        assert taken[0].endswith(b" shop.prod i-1 instances - one")
        assert taken[1].endswith("- two \xff".encode())
        connections[0].close()
        await asyncio.sleep(0.05)
        rig.log("three")
        await until(lambda: len(taken) == 3)
        assert len(connections) == 2


async def test_syslog_over_tcp_is_not_delivered_to_one_that_does_not_read(rig: Rig) -> None:
    hung = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        reader._transport.pause_reading()  # type: ignore[attr-defined]
        await hung.wait()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    channel = StreamChannel("127.0.0.1", port, tls=False, timeout_s=0.5)
    lines = [KeptLine(number, NOW, SHOP.name, "i-1", b"x" * 100_000) for number in range(300)]
    with pytest.raises(NotDelivered, match="took nothing"):
        await channel.send(lines)
    hung.set()
    server.close()
    with pytest.raises(NotDelivered):
        await StreamChannel("127.0.0.1", unused_port(), tls=False).send(lines[:1])


async def test_syslog_over_udp() -> None:
    loop = asyncio.get_running_loop()
    taken: asyncio.Queue[bytes] = asyncio.Queue()

    class Receiver(asyncio.DatagramProtocol):
        def datagram_received(self, data: bytes, addr: object) -> None:
            taken.put_nowait(data)

    transport, _ = await loop.create_datagram_endpoint(Receiver, local_addr=("127.0.0.1", 0))
    port = transport.get_extra_info("sockname")[1]
    channel = DatagramChannel("127.0.0.1", port)
    await channel.send(
        [KeptLine(1, NOW, SHOP.name, "i-1", b"hello"), KeptLine(2, NOW, "halage", "server", b"x" * 10**6)]
    )
    async with asyncio.timeout(10):
        assert (await taken.get()).endswith(b"instances - hello")
        assert len(await taken.get()) == 60_000
    await channel.close()
    transport.close()
