"""Which server the command line talks to: profiles in a file, overridden by the environment."""

import json
import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from halage.base.errors import Invalid
from halage.base.files import write_atomically

DEFAULT = "default"
_HEADER = "# Written by `halage configure`. It holds API tokens: keep it to yourself.\n"


class NotConfigured(Invalid):
    """No server is set: run `halage configure`, or set HALAGE_URL and HALAGE_TOKEN."""


class BadProfile(Invalid):
    """The file of profiles cannot be read."""


@dataclass(frozen=True, slots=True)
class Profile:
    """A server, the token to use there, and the default form of output."""

    url: str
    token: str | None = field(default=None, repr=False)
    output: str = "table"


def configuration_directory(environment: Mapping[str, str] = os.environ) -> Path:
    """Where Halage's files of this person are: $XDG_CONFIG_HOME/halage."""
    base = environment.get("XDG_CONFIG_HOME") or str(Path.home() / ".config")
    return Path(base) / "halage"


def choose_profile(name: str | None, environment: Mapping[str, str] = os.environ) -> Profile:
    """The profile to use. Raises NotConfigured, BadProfile.

    HALAGE_URL and HALAGE_TOKEN win. A profile's token goes to its own server only: with another
    HALAGE_URL it is not sent.
    """
    name = name or environment.get("HALAGE_PROFILE") or None
    url, token = environment.get("HALAGE_URL"), environment.get("HALAGE_TOKEN")
    profiles = read_profiles(configuration_directory(environment))
    kept = profiles.get(name or DEFAULT)
    if name is not None and kept is None:
        known = ", ".join(sorted(profiles)) or "none"
        raise NotConfigured(f"There is no profile {name} (there are: {known}): `halage configure` makes one.")
    if url is None:
        if kept is None:
            raise NotConfigured
        return Profile(kept.url, token or kept.token, kept.output)
    if kept is not None and kept.url.rstrip("/") == url.rstrip("/"):
        return Profile(url, token or kept.token, kept.output)
    return Profile(url, token, kept.output if kept else "table")


def read_profiles(directory: Path) -> dict[str, Profile]:
    """Profiles by name; none when there is no file. Raises BadProfile."""
    path = directory / "profiles.toml"
    try:
        document = tomllib.loads(path.read_text())
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise BadProfile(f"{path} cannot be read: {error}. Mend or remove it.") from error
    tables = document.get("profiles", {})
    return {name: _profile(path, name, table) for name, table in tables.items()}


def write_profile(directory: Path, name: str, profile: Profile) -> Path:
    """Add or replace a profile in the file (mode 0600), and return the file's path."""
    profiles = read_profiles(directory) | {name: profile}
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = directory / "profiles.toml"
    text = _HEADER + "".join(_table(each, profiles[each]) for each in sorted(profiles))
    write_atomically(path, text, mode=0o600)
    return path


def _profile(path: Path, name: str, table: Any) -> Profile:
    values = table if isinstance(table, dict) else {}
    url = values.get("url")
    if not isinstance(url, str):
        raise BadProfile(f'{path}: [profiles.{name}] needs a line `url = "http://..."`.')
    token = values.get("token")
    return Profile(url, token if isinstance(token, str) else None, str(values.get("output", "table")))


def _table(name: str, profile: Profile) -> str:
    # A JSON string is a TOML basic string, but for DEL, which no address or token has.
    lines = [f"\n[profiles.{json.dumps(name)}]", f"url = {json.dumps(profile.url)}"]
    if profile.token is not None:
        lines.append(f"token = {json.dumps(profile.token)}")
    lines.append(f"output = {json.dumps(profile.output)}")
    return "\n".join(lines) + "\n"
