"""Packs a built workspace into a bundle: a zstd tar, the same bytes for the same tree."""

import tarfile
from pathlib import Path
from typing import IO, BinaryIO

import zstandard

from halage.site.detect import TEST_PACKAGES

COMPRESSION_LEVEL = 3
LEFT_OUT = frozenset({".git", TEST_PACKAGES})
"""Paths in the tree: git's own, and what only the tests needed."""


def pack(workspace: Path, output: BinaryIO, committed_at: float) -> None:
    """Write the tree below `workspace` to `output`, sorted, without owners.

    Every file gets the commit's time: web servers make validators from it (a changed page of the
    same length must not look unchanged), and the same commit still makes the same bytes.

    Symbolic links are kept as links; sockets and devices are left out.
    """
    compressor = zstandard.ZstdCompressor(level=COMPRESSION_LEVEL, threads=0)
    with (
        compressor.stream_writer(output, closefd=False) as stream,
        tarfile.open(fileobj=_as_file(stream), mode="w|", format=tarfile.PAX_FORMAT) as tar,
    ):
        for path in sorted(workspace.iterdir()):
            _add(tar, path, path.name, int(committed_at))


def _as_file(stream: object) -> IO[bytes]:
    return stream  # type: ignore[return-value]


def _add(tar: tarfile.TarFile, path: Path, name: str, mtime: int) -> None:
    if name in LEFT_OUT:
        return
    entry = tar.gettarinfo(path, name)
    if entry is None or not (entry.isreg() or entry.isdir() or entry.issym() or entry.islnk()):
        return
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = ""
    entry.mtime = mtime
    if entry.isreg():
        with path.open("rb") as file:
            tar.addfile(entry, file)
        return
    tar.addfile(entry)
    if entry.isdir():
        for child in sorted(path.iterdir()):
            _add(tar, child, f"{name}/{child.name}", mtime)
