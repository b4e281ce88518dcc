"""The prober of the demo counts what really happens to requests."""

import socketserver
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from halage.cli.prober import Prober, ProbeReport

GOOD = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"


@contextmanager
def _serving(*answers: bytes, delay_s: float = 0.0) -> Iterator[int]:
    """A port that gives these answers in turn, the last one for ever."""
    remaining = list(answers)

    class Answer(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            self.request.recv(65536)
            time.sleep(delay_s)
            self.request.sendall(remaining.pop(0) if len(remaining) > 1 else remaining[0])

    socketserver.ThreadingTCPServer.allow_reuse_address = True
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Answer) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


def _probe(port: int, *, rate: float = 100, for_s: float = 0.3, text: str = "hello") -> ProbeReport:
    prober = Prober("127.0.0.1", port, site="shop.localhost", rate=rate)
    prober.await_text(text)
    prober.start()
    time.sleep(for_s)
    return prober.stop()


def test_good_answers_are_counted_and_timed() -> None:
    with _serving(GOOD) as port:
        report = _probe(port)
    assert report.sent > 10
    assert report.failed == 0
    assert len(report.latencies_s) == report.sent
    assert report.first_new_at is not None
    assert 0 < report.latency_ms(0.5) <= report.latency_ms(0.99)


def test_every_kind_of_failure_is_counted() -> None:
    cut_off = b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nhello"
    with _serving(b"HTTP/1.1 503 No\r\n\r\n", cut_off, b"", b"HTTP/1.1 302 Found\r\n\r\n", GOOD) as port:
        report = _probe(port, text="never")
    assert report.failed == 3
    assert report.causes["status 503"] == 1
    assert any("cut off" in cause for cause in report.causes)
    assert report.first_new_at is None


def test_nobody_there_is_a_failure(free_port: int) -> None:
    report = _probe(free_port, for_s=0.1)
    assert report.failed == report.sent > 0


def test_a_slow_server_does_not_slow_the_requests_down() -> None:
    """Open model: the rate is kept while answers take long."""
    with _serving(GOOD, delay_s=0.3) as port:
        report = _probe(port, rate=50, for_s=0.5)
    assert report.sent > 4
    assert report.latency_ms(0.5) >= 300
