"""Static files: read once, addressed by their content so that browsers may keep them for ever."""

import hashlib
import mimetypes
from dataclasses import dataclass
from pathlib import Path

from fastapi import Request, Response

STATIC = Path(__file__).parent.parent / "static"
_FOR_EVER = "public, max-age=31536000, immutable"
_TYPES = (".css", ".js", ".svg", ".png")


@dataclass(frozen=True, slots=True)
class Asset:
    """One static file."""

    content: bytes
    media_type: str
    digest: str


class Assets:
    """Every static file of the console, in memory (some 100 KiB)."""

    def __init__(self, directory: Path = STATIC) -> None:
        self._assets = {
            path.relative_to(directory).as_posix(): _read(path)
            for path in sorted(directory.rglob("*"))
            if path.suffix in _TYPES
        }

    def url(self, name: str) -> str:
        """The address of a static file, which changes with its content."""
        return f"/static/{self._assets[name].digest}/{name}"

    async def serve(self, request: Request, digest: str, name: str) -> Response:
        """The file; an address of an older version gets the present one, which is not to be kept."""
        asset = self._assets.get(name)
        if asset is None:
            return Response(status_code=404)
        is_current = asset.digest == digest
        headers = {
            "Cache-Control": _FOR_EVER if is_current else "no-cache",
            "X-Content-Type-Options": "nosniff",
        }
        return Response(asset.content, media_type=asset.media_type, headers=headers)


def _read(path: Path) -> Asset:
    content = path.read_bytes()
    kind = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    return Asset(content, kind, hashlib.sha256(content).hexdigest()[:12])
