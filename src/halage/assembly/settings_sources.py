"""Where settings come from: a TOML file, then HALAGE_* variables, then flags; the later one wins."""

import difflib
import os
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from halage.assembly.errors import SettingsInvalid
from halage.assembly.settings import Settings, SizeSettings
from halage.compute.model import STANDARD_TYPES

Key = tuple[str, ...]
PREFIX = "HALAGE_"
NOT_SETTINGS = frozenset({"HALAGE_CONFIG", "HALAGE_URL", "HALAGE_TOKEN", "HALAGE_PROFILE", "HALAGE_OUTPUT"})
"""Variables of the command line, and the one that names the file."""

_SECRET_KEYS = frozenset({("database",), ("metrics", "remote_write"), ("messages", "to")})


@dataclass(frozen=True, slots=True)
class Machine:
    """What defaults depend on."""

    is_root: bool
    home: Path
    cores: int

    @classmethod
    def here(cls) -> "Machine":
        """This machine, and who runs the server on it."""
        return cls(os.geteuid() == 0, Path.home(), len(os.sched_getaffinity(0)))


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong: where, at which key, what was found and what is allowed."""

    place: str
    key: str
    found: str
    allowed: str

    def __str__(self) -> str:
        return f"{self.place}: {self.key}: found {self.found}; allowed: {self.allowed}"


class _Layers:
    """Values of several places, the later over the earlier; knows for each key where it came from."""

    def __init__(self) -> None:
        self.values: dict[str, Any] = {}
        self._places: dict[Key, tuple[str, str]] = {}

    def lay(self, key: Key, value: Any, place: str, name: str | None = None) -> None:
        """Put a value, or a table of values, over what is there."""
        if isinstance(value, Mapping):
            self._places[key] = (place, ".".join(key))
            if not isinstance(self._get(key), dict):
                self._put(key, {})
            for part, inner in value.items():
                self.lay((*key, part), inner, place)
            return
        self._places[key] = (place, name or ".".join(key))
        self._put(key, value)

    def place_of(self, key: Key) -> tuple[str, str]:
        """The place that a key's value came from, and how the key is spelled there."""
        for length in range(len(key), 0, -1):
            if (found := self._places.get(key[:length])) is not None:
                place, name = found
                return place, name if length == len(key) else ".".join(key)
        return "the settings", ".".join(key)

    def _get(self, key: Key) -> Any:
        value: Any = self.values
        for part in key:
            value = value.get(part) if isinstance(value, dict) else None
        return value

    def _put(self, key: Key, value: Any) -> None:
        table = self.values
        for part in key[:-1]:
            inner = table.get(part)
            table = table.setdefault(part, {}) if isinstance(inner, dict | None) else {}
        table[key[-1]] = value


def load_settings(
    flags: Mapping[str, Any], environ: Mapping[str, str], machine: Machine | None = None
) -> Settings:
    """The settings: defaults, then the file, then HALAGE_* of `environ`, then `flags`.

    A flag is named by its setting's key (`listen`, `builds.concurrent`), None when it was not given;
    `config` is the path of the file. Raises SettingsInvalid, which lists all that is wrong.
    """
    machine = machine or Machine.here()
    layers = _Layers()
    for part, value in _defaults(environ, machine).items():
        layers.lay((part,), value, "the default")
    _lay_file(layers, flags.get("config"), environ, machine)
    problems = _lay_environment(layers, environ)
    for name, value in flags.items():
        if name != "config" and value is not None:
            if name not in setting_keys():
                raise ValueError(f"no such setting: {name}")
            layers.lay(tuple(name.split(".")), value, "command line", f"--{name}")
    try:
        settings = Settings.model_validate(layers.values)
    except ValidationError as error:
        problems += _problems(error, layers)
    else:
        if not problems:
            return settings
    raise SettingsInvalid(
        "The settings cannot be used:\n" + "\n".join(f"  {problem}" for problem in problems),
        problems=[str(problem) for problem in problems],
    )


def config_file(environ: Mapping[str, str], machine: Machine) -> Path:
    """Where the settings file is when neither --config nor HALAGE_CONFIG says so."""
    if machine.is_root:
        return Path("/etc/halage/halage.toml")
    base = environ.get("XDG_CONFIG_HOME")
    return (Path(base) if base else machine.home / ".config") / "halage" / "server.toml"


def setting_keys() -> tuple[str, ...]:
    """The key of every setting but those of [types.NAME]: `data`, `log.level`, ..."""
    return tuple(".".join(key) for key in _keys(Settings, ()))


def environment_name(key: str) -> str:
    """The variable that sets a key: `HALAGE_BUILDS_MEMORY_MIB` for `builds.memory_mib`."""
    return PREFIX + key.replace(".", "_").upper()


def _defaults(environ: Mapping[str, str], machine: Machine) -> dict[str, Any]:
    base = environ.get("XDG_DATA_HOME")
    own = (Path(base) if base else machine.home / ".local" / "share") / "halage"
    return {
        "data": Path("/var/lib/halage") if machine.is_root else own,
        "builds": {"concurrent": min(max(machine.cores, 1), 256)},
        "types": {
            name: {"cpu": type_.cpu, "memory_mib": type_.memory_mib} for name, type_ in STANDARD_TYPES.items()
        },
    }


def _lay_file(layers: _Layers, flag: Any, environ: Mapping[str, str], machine: Machine) -> None:
    named = flag or environ.get("HALAGE_CONFIG")
    path = Path(named).expanduser() if named else config_file(environ, machine)
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        if named:
            raise SettingsInvalid(
                f"There is no settings file {path}: correct --config or HALAGE_CONFIG"
            ) from None
        return
    except OSError as error:
        raise SettingsInvalid(f"The settings file {path} cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        # `from None`: the cause holds the whole document, which may hold a password.
        raise SettingsInvalid(f"The settings file {path} is not TOML: {_reason(error)}") from None
    for part, value in document.items():
        layers.lay((part,), value, str(path))


def _reason(error: Exception) -> str:
    return "it is not UTF-8" if isinstance(error, UnicodeDecodeError) else str(error)


def _lay_environment(layers: _Layers, environ: Mapping[str, str]) -> list[Problem]:
    """Lay what the variables set; a variable that looks like a mistyped setting is a problem.

    Any other HALAGE_* is left alone: Halage gives such variables to builds and instances, and a
    server may well run in one.
    """
    keys = {environment_name(key): key for key in setting_keys()}
    problems = []
    for name, value in sorted(environ.items()):
        if (key := keys.get(name)) is not None:
            layers.lay(tuple(key.split(".")), value, "environment", name)
        elif name.startswith(PREFIX) and name not in NOT_SETTINGS:
            known = {each.removeprefix(PREFIX): each for each in keys}
            near = difflib.get_close_matches(name.removeprefix(PREFIX), known, 1, cutoff=0.8)
            if near:
                problems.append(Problem("environment", name, "an unknown variable", known[near[0]]))
    return problems


def _problems(error: ValidationError, layers: _Layers) -> list[Problem]:
    problems = []
    for entry in error.errors(include_url=False, include_context=False):
        if entry["type"] == "default_factory_not_called":
            continue  # a consequence of another problem, which is listed
        key = tuple(str(part) for part in entry["loc"] if part != "[key]")
        place, name = layers.place_of(key)
        if entry["type"] == "extra_forbidden":
            problems.append(Problem(place, name, "an unknown key", _nearest(key)))
        else:
            found = "nothing" if entry["type"] == "missing" else _show(key, layers)
            problems.append(Problem(place, name, found, _allowed(key)))
    return problems


def _show(key: Key, layers: _Layers) -> str:
    if key in _SECRET_KEYS:
        return "a value that is not shown, as it may hold a password"
    value: Any = layers.values
    for part in key:
        if isinstance(value, Mapping):
            value = value.get(part)
        elif isinstance(value, list | tuple) and part.isdigit():
            value = value[int(part)]
    text = str(value) if isinstance(value, Path) else repr(value)
    return text if len(text) <= 80 else text[:80] + "…"


def _nearest(key: Key) -> str:
    table = _table_at(key[:-1])
    siblings = list(table.model_fields) if table is not None else []
    if near := difflib.get_close_matches(key[-1], siblings, 1):
        return ".".join((*key[:-1], near[0]))
    last = {known.rpartition(".")[2]: known for known in setting_keys()}
    if near := difflib.get_close_matches(key[-1], last, 1):
        return last[near[0]]
    return ", ".join(siblings)


def _allowed(key: Key) -> str:
    while key:
        table = _table_at(key[:-1])
        field = table.model_fields.get(key[-1]) if table is not None else None
        if field is not None:
            return field.description or ""
        key = key[:-1]
    return "a table of settings"


def _table_at(key: Key) -> type[BaseModel] | None:
    if len(key) == 2 and key[0] == "types":
        return SizeSettings
    table: type[BaseModel] | None = Settings
    for part in key:
        field = table.model_fields.get(part) if table is not None else None
        table = _table_of(field)
    return table


def _table_of(field: FieldInfo | None) -> type[BaseModel] | None:
    kind = None if field is None else field.annotation
    return kind if isinstance(kind, type) and issubclass(kind, BaseModel) else None


def _keys(table: type[BaseModel], prefix: Key) -> Iterator[Key]:
    for name, field in table.model_fields.items():
        inner = _table_of(field)
        if inner is not None:
            yield from _keys(inner, (*prefix, name))
        elif name != "types":
            yield (*prefix, name)
