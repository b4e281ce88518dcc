"""The access log: one file that HAProxy writes on, whatever becomes of us.

It cannot be renamed and opened anew (HAProxy holds it as its output), so its old part is given
back to the file system. The file keeps its length: offsets of readers stay true for ever.
"""

import ctypes
import os
from pathlib import Path

import structlog

from halage.balancer.drivers.haproxy.process import ACCESS_LOG, PROCESS_LOG

log = structlog.get_logger()

_KEEP_SIZE, _PUNCH_HOLE = 0x01, 0x02
_BLOCK = 4096
_libc = ctypes.CDLL(None, use_errno=True)
_libc.fallocate.argtypes = (ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64)


def keep_small(directory: Path, limit_bytes: int) -> None:
    """Give back what exceeds the limit of HAProxy's log files, oldest lines first."""
    for name in (ACCESS_LOG, PROCESS_LOG):
        path = directory / name
        try:
            status = path.stat()
        except FileNotFoundError:
            continue
        if status.st_blocks * 512 > limit_bytes:
            _punch(path, (status.st_size - limit_bytes // 2) // _BLOCK * _BLOCK)


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
