"""The access log: one file that HAProxy writes on, whatever becomes of us.

It cannot be renamed and opened anew (HAProxy holds it as its output), so its old part is given
back to the file system. The file keeps its length: offsets of readers stay true for ever.
"""

import ctypes
import os
from json.encoder import encode_basestring as _quoted
from pathlib import Path

import structlog

from halage.balancer.drivers.haproxy.configuration import target_of
from halage.balancer.drivers.haproxy.process import ACCESS_LOG, PROCESS_LOG
from halage.balancer.model import AccessPart, LogPlace, Visit

log = structlog.get_logger()

HARD_LIMIT = 4
"""Times the limit: so much is kept of what nobody has read yet."""
_KEEP_SIZE, _PUNCH_HOLE = 0x01, 0x02
_BLOCK = 4096
_LONGEST_LINE_BYTES = 4096
"""HAProxy cuts its lines at 2,048."""
_libc = ctypes.CDLL(None, use_errno=True)
_libc.fallocate.argtypes = (ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64)


def keep_small(directory: Path, limit_bytes: int, released: LogPlace | None = None) -> None:
    """Give back what exceeds the limit of HAProxy's log files, oldest lines first.

    Of the access log only what was released, unless it has grown far past the limit.
    """
    for name in (ACCESS_LOG, PROCESS_LOG):
        path = directory / name
        try:
            status = path.stat()
        except FileNotFoundError:
            continue
        taken, length = status.st_blocks * 512, status.st_size - limit_bytes // 2
        if taken <= limit_bytes:
            continue
        if name == ACCESS_LOG:
            read = released.offset if released is not None and released.file == status.st_ino else 0
            hard = status.st_size - HARD_LIMIT * limit_bytes // 2 if taken > HARD_LIMIT * limit_bytes else 0
            length = max(min(length, read), hard)
        if length >= _BLOCK:
            _punch(path, length // _BLOCK * _BLOCK)


def read_lines(directory: Path, place: LogPlace | None, limit_bytes: int) -> AccessPart:
    """The next whole lines of the access log from a place. Raises OSError."""
    try:
        handle = os.open(directory / ACCESS_LOG, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return AccessPart((), place or LogPlace(0, 0))
    try:
        status = os.fstat(handle)
        known = place is not None and place.file == status.st_ino and place.offset <= status.st_size
        offset = place.offset if known and place is not None else 0
        return _read(handle, LogPlace(status.st_ino, offset), status.st_size, limit_bytes)
    finally:
        os.close(handle)


def _read(handle: int, place: LogPlace, size: int, limit_bytes: int) -> AccessPart:
    begin, lost = place.offset, 0
    data = os.pread(handle, limit_bytes, begin)
    if data.startswith(b"\0"):
        begin = _skip_hole(handle, begin, size)
        data = os.pread(handle, limit_bytes, begin)
        # The hole ends in the middle of a line.
        cut = data.find(b"\n") + 1
        begin, data = begin + cut, data[cut:]
        lost = begin - place.offset
    end = data.rfind(b"\n") + 1
    if end == 0 and len(data) >= _LONGEST_LINE_BYTES:
        end = len(data)  # no log of HAProxy's: pass it on as one line, or nothing would ever follow
    visits = parse_lines(data[:end], begin)
    next_place = LogPlace(place.file, begin + end)
    return AccessPart(visits, next_place, lost, is_all=begin + len(data) >= size)


def _skip_hole(handle: int, offset: int, size: int) -> int:
    """Where the data begins behind a hole (or behind zeros, where the file system has no holes)."""
    try:
        offset = os.lseek(handle, offset, os.SEEK_DATA)
    except OSError:  # nothing but a hole
        return size
    while zeros := os.pread(handle, 1 << 20, offset):
        rest = zeros.lstrip(b"\0")
        offset += len(zeros) - len(rest)
        if rest:
            break
    return offset


_names: dict[bytes, str] = {}
_NAMES_AT_MOST = 10_000


def _name(raw: bytes) -> str | None:
    if raw in (b"-", b"<NOSRV>"):
        return None
    if len(_names) > _NAMES_AT_MOST:
        _names.clear()
    return _names.setdefault(raw, target_of(raw.decode(errors="replace")))


def parse_lines(data: bytes, begin: int) -> list[Visit]:
    """The visits in whole lines; `begin` is where they begin in the file.

    A line is told apart by its first 15 words, none of which a visitor chooses; the order is that
    of `log-format` in the configuration. Times that never came to be are -1.
    """
    visits = []
    end = begin
    known = _names
    for line in data.removesuffix(b"\n").split(b"\n") if data else ():
        end += len(line) + 1
        try:
            words = line.split(b" ", 15)
            at = int(words[0]) / 1000
            status = int(words[7])
            head, wait, connect, first, whole = words[9:14]
            target_ms: int | None = int(first)
            response_ms: int | None
            if target_ms is not None and target_ms >= 0:
                response_ms = target_ms + max(int(wait), 0) + max(int(connect), 0)
            else:
                target_ms = None
                response_ms = max(int(whole) - max(int(head), 0), 0) if status >= 500 else None
            route = known.get(words[3]) or _name(words[3])
            target = known.get(words[5]) or _name(words[5])
            text = _as_json(words, target_ms, response_ms)
        except (ValueError, IndexError):
            visits.append(Visit(None, None, None, -1, None, None, line, end))
            continue
        visits.append(Visit(at, route, target, status, target_ms, response_ms, text, end))
    return visits


def _as_json(words: list[bytes], target_ms: int | None, response_ms: int | None) -> bytes:
    """A line for who reads it: a JSON object, so that it is searched by field.

    What a visitor chooses is quoted; the rest are numbers. A line that HAProxy cut has no last quote.
    """
    _, request_id, client, _, _, _, method, status, size, _, wait, _, _, _, ended, rest = [
        word.decode(errors="replace") for word in words
    ]
    host, _, path = rest.removeprefix('"').removesuffix('"').partition('" "')
    return (
        f'{{"method":{_quoted(method)},"path":{_quoted(path)},"status":{_or_null(int(status))},'
        f'"response_ms":{_or_null(response_ms)},"bytes":{int(size)},"host":{_quoted(host)},'
        f'"client":{_quoted(client)},"instance_ms":{_or_null(target_ms)},"queue_ms":{_or_null(int(wait))},'
        f'"request_id":{_quoted(request_id)},"ended":{_quoted(ended)}}}'
    ).encode()


def _or_null(number: int | None) -> str:
    return "null" if number is None or number < 0 else str(number)


def _punch(path: Path, length: int) -> None:
    handle = os.open(path, os.O_WRONLY)
    try:
        if _libc.fallocate(handle, _KEEP_SIZE | _PUNCH_HOLE, 0, length) == 0:
            return
        # A file system without holes: better to lose old lines than to fill the disk.
        log.warning("access log emptied", action="balancer:KeepLog", subject=str(path))
        os.ftruncate(handle, 0)
    finally:
        os.close(handle)
