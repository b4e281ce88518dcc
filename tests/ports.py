"""Ports for servers that tests start."""

import socket

_handed_out: set[int] = set()


def unused_port() -> int:
    """A loopback port that nothing listens on and that was not given before."""
    while True:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", 0))
            port = int(probe.getsockname()[1])
        if port not in _handed_out:
            _handed_out.add(port)
            return port
