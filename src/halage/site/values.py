"""The values that halage.toml is made of, each checked with a sentence that says what is allowed."""

import re
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, ValidationInfo, WithJsonSchema
from pydantic_core import PydanticCustomError

UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h)")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9])?")
_ENVIRONMENT = re.compile(r"[a-z]([a-z0-9-]{0,30}[a-z0-9])?")
_PATTERN = re.compile(r"[^\s~^:\\\[\]\x00-\x1f\x7f]+")
_SAFE_PATH = re.compile(r"[A-Za-z0-9._@+/ -]+")
_SECRET = re.compile(r"SECRET|PASSWORD|PASSWD|TOKEN|PRIVATE_KEY|API_KEY|APP_KEY")
RESERVED_VARIABLES = frozenset({"HOST", "PORT", "HOME", "TMPDIR", "PATH"})
RESERVED_STAGES = frozenset({"source", "test", "build", "approval"})


def refuse(allowed: str) -> PydanticCustomError:
    """An error whose text says what is allowed."""
    return PydanticCustomError("halage", "{allowed}", {"allowed": allowed})


def looks_secret(name: str) -> bool:
    """Whether a variable of that name most likely holds a secret."""
    return _SECRET.search(name.upper()) is not None


def parse_duration(value: Any) -> Any:
    """Seconds from `"90s"`, `"5m"`, `"1h"`, `"500ms"` or a number of seconds."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    match = _DURATION.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is None:
        raise refuse('a duration such as "90s", "5m", "1h", or a number of seconds')
    return float(match[1]) * UNITS[match[2]]


def duration(seconds: float) -> str:
    """Seconds as they are written in halage.toml: 90 is `90s`, 300 is `5m`, 0.5 is `500ms`."""
    if seconds and seconds < 1:
        return f"{seconds * 1000:.10g}ms"
    for unit, size in (("h", 3600), ("m", 60)):
        if seconds and seconds % size == 0:
            return f"{seconds / size:.10g}{unit}"
    return f"{seconds:.10g}s"


def as_list(value: Any) -> Any:
    """A list of one where one text stands for it."""
    return [value] if isinstance(value, str) else value


def check_command(value: str) -> str:
    """The line of shell, which must not be empty."""
    if not value.strip() or "\x00" in value:
        raise refuse('a line of shell such as "composer install"')
    return value.strip()


def check_path(value: str) -> str:
    """A path within the site, `a/b`: relative, without `..`, not the root itself."""
    parts = [part for part in value.split("/") if part not in ("", ".")]
    is_within = not value.startswith("/") and ".." not in parts and _SAFE_PATH.fullmatch(value)
    if not is_within or not parts:
        raise refuse('a path within the site such as "storage/app" (relative, no "..", not the root)')
    if parts[0] == ".git":
        raise refuse("a path outside .git")
    return "/".join(parts)


def check_document_root(value: str) -> str:
    """A directory of the site, `.` for its root."""
    return "." if value.strip("/") in ("", ".") and not value.startswith("/") else check_path(value)


def check_report(value: str) -> str:
    """A glob within the site."""
    if not value or value.startswith("/") or ".." in value.split("/") or "\x00" in value:
        raise refuse('a glob within the site such as "build/junit-*.xml"')
    return value


def check_url_path(value: str) -> str:
    """The path of a URL, from its slash on."""
    if not re.fullmatch(r"/[!-~]*", value):
        raise refuse('a path that starts with "/", such as "/health", without spaces')
    return value


def check_domain(value: str) -> str:
    """The host name in lower case, as it stands in a Host header."""
    try:
        name = value.strip().lower().rstrip(".").encode("idna").decode("ascii")
    except UnicodeError:
        name = ""
    labels = name.split(".")
    is_host = 0 < len(name) <= 253 and all(map(_LABEL.fullmatch, labels)) and not labels[-1].isdigit()
    if not is_host:
        raise refuse('a host name such as "www.example.org" (no scheme, port, path or wildcard)')
    return name


def check_type(value: str, info: ValidationInfo) -> str:
    """The name of one of the instance types of this server, where they are known."""
    types = (info.context or {}).get("types")
    if types is not None and value not in types:
        raise refuse(f"one of the instance types {', '.join(types)}")
    return value


def check_variables(value: Any) -> Any:
    """Variables as text: numbers and booleans are written out, names are checked."""
    if not isinstance(value, dict):
        raise refuse('a table of variables such as APP_NAME = "Boutique"')
    return {check_variable_name(name): _variable_text(name, text) for name, text in value.items()}


def check_variable_name(name: str) -> str:
    """A name for a variable of a site's own."""
    if not _VARIABLE.fullmatch(name):
        raise refuse(f"names of letters, digits and _, not starting with a digit; {name!r} is not one")
    if name in RESERVED_VARIABLES or name.startswith("HALAGE_"):
        raise refuse(f"names other than {name}: Halage sets it itself")
    return name


def _variable_text(name: str, value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if not isinstance(value, str | int | float) or "\x00" in str(value):
        raise refuse(f"text, a number, true or false as the value of {name}")
    return str(value)


def check_environments(value: Any) -> Any:
    """Tables by the names of environments, which become parts of host names."""
    for name in value if isinstance(value, dict) else ():
        if not _ENVIRONMENT.fullmatch(name) or name in RESERVED_STAGES:
            raise refuse(
                f"names of lower-case letters, digits and hyphens (at most 32) "
                f"other than {', '.join(sorted(RESERVED_STAGES))}; {name!r} is not one"
            )
    return value


def check_pattern(value: str) -> str:
    """The name of a branch, or a pattern with `*` and `?`."""
    if not _PATTERN.fullmatch(value):
        raise refuse('a branch such as "main" or a pattern such as "feature/*"')
    return value


_TEXTS = {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}
_VARIABLES = {"type": "object", "additionalProperties": {"type": ["string", "number", "boolean"]}}
_SECONDS = {
    "anyOf": [
        {"type": "number", "minimum": 0},
        {"type": "string", "pattern": r"^\s*\d+(\.\d+)?\s*(ms|s|m|h)\s*$"},
    ]
}

Seconds = Annotated[float, BeforeValidator(parse_duration), WithJsonSchema(_SECONDS)]
Command = Annotated[str, AfterValidator(check_command)]
Commands = Annotated[list[Command], BeforeValidator(as_list), WithJsonSchema(_TEXTS)]
SitePath = Annotated[str, AfterValidator(check_path)]
SitePaths = Annotated[list[SitePath], BeforeValidator(as_list), WithJsonSchema(_TEXTS)]
DocumentRoot = Annotated[str, AfterValidator(check_document_root)]
Reports = Annotated[
    list[Annotated[str, AfterValidator(check_report)]], BeforeValidator(as_list), WithJsonSchema(_TEXTS)
]
UrlPath = Annotated[str, AfterValidator(check_url_path)]
Domains = Annotated[
    list[Annotated[str, AfterValidator(check_domain)]], BeforeValidator(as_list), WithJsonSchema(_TEXTS)
]
TypeName = Annotated[str, AfterValidator(check_type)]
Variables = Annotated[dict[str, str], BeforeValidator(check_variables), WithJsonSchema(_VARIABLES)]
Branches = Annotated[
    list[Annotated[str, AfterValidator(check_pattern)]], BeforeValidator(as_list), WithJsonSchema(_TEXTS)
]
