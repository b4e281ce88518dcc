"""The server's settings: one frozen object, read once and passed down.

docs/reference/halage-settings.toml describes every one of them; tests hold the two together. What
may be given is in each field's `description`, which is also what a message says.
"""

import ipaddress
import re
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, Literal, NamedTuple
from urllib.parse import urlsplit

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, ValidationInfo
from pydantic import field_validator as validates
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from halage.access.model import SessionLimits
from halage.compute.model import STANDARD_TYPES, InstanceType

_HOST_NAME = re.compile(r"(?!-)[a-z0-9-]{1,63}(?<!-)(\.(?!-)[a-z0-9-]{1,63}(?<!-))*")
_PASSED_VARIABLES = (
    "http_proxy",
    "https_proxy",
    "no_proxy",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "PIP_INDEX_URL",
    "PIP_EXTRA_INDEX_URL",
    "PIP_CERT",
    "SSL_CERT_FILE",
    "NODE_EXTRA_CA_CERTS",
    "npm_config_registry",
)
_ANY_ADDRESS = ("0.0.0.0", "::")  # noqa: S104  compared with, not bound to


class Address(NamedTuple):
    """A host and a port to listen on; port 0 means any free one."""

    host: str
    port: int

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


def _parse_address(value: Any) -> Any:
    if isinstance(value, Address):
        return value
    match = re.fullmatch(r"(?:\[([0-9A-Fa-f:.]+)\]|([^:\[\]]+)):([0-9]{1,5})", str(value), re.ASCII)
    if match is None or int(match[3]) > 65535:
        raise ValueError("not HOST:PORT")
    is_known = _is_ip(match[1]) if match[1] else _HOST_NAME.fullmatch(match[2].lower())
    if not is_known:
        raise ValueError("no host")
    return Address(match[1] or match[2], int(match[3]))


def _parse_address_or_nothing(value: Any) -> Any:
    return None if value in ("", None) else _parse_address(value)


def _parse_names(value: Any) -> Any:
    return tuple(re.findall(r"[^\s,]+", value)) if isinstance(value, str) else value


def _is_ip(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


Listen = Annotated[Address, BeforeValidator(_parse_address)]
VariableName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]
TypeName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{0,30}$")]


class _Table(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class LogSettings(_Table):
    """[log]"""

    level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description='"debug", "info", "warning" or "error"'
    )
    format: Literal["auto", "console", "json"] = Field(
        default="auto", description='"auto", "console" or "json"'
    )


class SizeSettings(_Table):
    """[types.NAME]"""

    cpu: float = Field(gt=0, le=1024, description="a number of vCPU above 0, such as 0.25")
    memory_mib: int = Field(ge=16, le=2**24, description="a whole number of MiB, 16 or more")


class BuildSettings(_Table):
    """[builds]"""

    concurrent: int = Field(default=2, ge=1, le=256, description="a whole number from 1 to 256")
    cpu: float = Field(default=2.0, gt=0, le=1024, description="a number of vCPU above 0, such as 1.5")
    memory_mib: int = Field(default=2048, ge=64, le=2**24, description="a whole number of MiB, 64 or more")
    processes: int = Field(default=512, ge=16, le=2**20, description="a whole number, 16 or more")
    sandbox: Literal["auto", "bubblewrap", "plain"] = Field(
        default="auto", description='"auto", "bubblewrap" or "plain"'
    )
    network: bool = Field(default=True, description="true or false")
    cache: bool = Field(default=True, description="true or false")
    console_limit_mib: int = Field(
        default=16, ge=1, le=1024, description="a whole number of MiB from 1 to 1024"
    )
    passed_variables: Annotated[tuple[VariableName, ...], BeforeValidator(_parse_names)] = Field(
        default=_PASSED_VARIABLES,
        description='a list of names of environment variables, such as ["HTTPS_PROXY"]',
    )


class ReleaseSettings(_Table):
    """[releases]"""

    keep: int = Field(default=5, ge=1, le=1000, description="a whole number from 1 to 1000")


class DeploymentSettings(_Table):
    """[deployments]"""

    deadline_s: float = Field(
        default=900.0, ge=10, le=86400, description="a number of seconds from 10 to 86400"
    )


class ExecutionSettings(_Table):
    """[executions]"""

    limit_s: float = Field(
        default=14400.0, ge=10, le=604800, description="a number of seconds from 10 to 604800"
    )


class SessionSettings(_Table):
    """[sessions]"""

    idle_s: float = Field(
        default=12 * 3600.0, ge=60, le=2592000, description="a number of seconds from 60 to 2592000"
    )
    lifetime_s: float = Field(
        default=30 * 86400.0,
        ge=60,
        le=31536000,
        description="a number of seconds from 60 to 31536000, not less than sessions.idle_s",
    )

    @validates("lifetime_s")
    @classmethod
    def _not_less_than_idle(cls, value: float, info: ValidationInfo) -> float:
        if value < info.data.get("idle_s", 0):
            raise ValueError("less than idle_s")
        return value


class MetricSettings(_Table):
    """[metrics]"""

    series: int = Field(default=20000, ge=100, le=1000000, description="a whole number from 100 to 1000000")
    series_per_environment: int = Field(
        default=500, ge=0, le=100000, description="a whole number from 0 to 100000"
    )
    statsd: Annotated[Address | None, BeforeValidator(_parse_address_or_nothing)] = Field(
        default=None, description='HOST:PORT, such as 127.0.0.1:8125, or "" for none'
    )
    remote_write: str = Field(
        default="",
        description='a web address, such as https://prometheus.example.org/api/v1/write, or "" for none',
        repr=False,  # it may hold a password
    )

    @validates("remote_write")
    @classmethod
    def _web_address(cls, value: str) -> str:
        if value and not re.fullmatch(r"https?://[^\s]+", value):
            raise ValueError("no web address")
        return value


class KeptLogSettings(_Table):
    """[logs]"""

    keep_days: float = Field(default=30.0, gt=0, le=3650, description="a number of days from 0 to 3650")
    keep_mib: int = Field(
        default=4096, ge=16, le=2**24, description="a whole number of MiB, 16 or more (compressed)"
    )


class MessageSettings(_Table):
    """[messages]"""

    to: Annotated[tuple[str, ...], BeforeValidator(_parse_names)] = Field(
        default=(),
        description='a list of addresses as Apprise knows them, such as ["mailto://user:pw@example.org"]',
        repr=False,  # they may hold passwords
    )


class ConsoleSettings(_Table):
    """[console]"""

    host: str = Field(default="", description='a host name, such as halage.example.org, or "" for none')
    https: Literal["off", "on", "redirect"] = Field(
        default="redirect", description='"off", "on" or "redirect" (HTTP is sent on to HTTPS)'
    )

    @validates("host")
    @classmethod
    def _host_name(cls, value: str) -> str:
        value = value.lower()
        if value and (len(value) > 200 or not _HOST_NAME.fullmatch(value)):
            raise ValueError("no host name")
        return value


class Settings(_Table):
    """Everything that an operator can set, validated; `load_settings` makes it."""

    data: Path = Field(description="the path of a directory")
    listen: Listen = Field(
        default=Address("127.0.0.1", 7070), description="HOST:PORT, such as 127.0.0.1:7070 or [::1]:7070"
    )
    http: Listen = Field(
        default=Address("127.0.0.1", 8080),
        description="HOST:PORT, such as 0.0.0.0:80, another one than `listen`",
    )
    https: Annotated[Address | None, BeforeValidator(_parse_address_or_nothing)] = Field(
        default_factory=lambda known: _https_of(known),
        description='HOST:PORT, such as 0.0.0.0:443, another one than `listen` and `http`, or "" for none',
    )
    console: ConsoleSettings = Field(default=ConsoleSettings(), description="a table: [console]")
    domain: str = Field(default="localhost", description="a domain name, such as sites.example.org")
    public_url: str = Field(
        default_factory=lambda known: _url_of(known),
        description="http:// or https:// with a host and perhaps a port, such as https://halage.example.org",
    )
    database: str = Field(
        default_factory=lambda known: f"sqlite:///{known.get('data')}/halage.db",
        description="sqlite:////absolute/path or postgresql+psycopg://user:password@host/name",
        repr=False,  # it may hold a password
    )
    log: LogSettings = Field(default=LogSettings(), description="a table: [log]")
    types: Mapping[TypeName, SizeSettings] = Field(
        default_factory=dict,
        description="tables [types.NAME], NAME of lower-case letters, digits and hyphens",
    )
    builds: BuildSettings = Field(default=BuildSettings(), description="a table: [builds]")
    releases: ReleaseSettings = Field(default=ReleaseSettings(), description="a table: [releases]")
    deployments: DeploymentSettings = Field(
        default=DeploymentSettings(), description="a table: [deployments]"
    )
    executions: ExecutionSettings = Field(default=ExecutionSettings(), description="a table: [executions]")
    sessions: SessionSettings = Field(default=SessionSettings(), description="a table: [sessions]")
    metrics: MetricSettings = Field(default=MetricSettings(), description="a table: [metrics]")
    logs: KeptLogSettings = Field(default=KeptLogSettings(), description="a table: [logs]")
    messages: MessageSettings = Field(default=MessageSettings(), description="a table: [messages]")

    @validates("data")
    @classmethod
    def _absolute(cls, value: Path) -> Path:
        return value.expanduser().absolute()

    @validates("http")
    @classmethod
    def _another_address(cls, value: Address, info: ValidationInfo) -> Address:
        if value.port != 0 and value == info.data.get("listen"):
            raise ValueError("the same as listen")
        return value

    @validates("https")
    @classmethod
    def _third_address(cls, value: Address | None, info: ValidationInfo) -> Address | None:
        if value is not None and value in (info.data.get("listen"), info.data.get("http")):
            raise ValueError("the same as listen or http")
        if value is not None and value.port == 0:
            raise ValueError("no port")
        return value

    @validates("domain")
    @classmethod
    def _host_name(cls, value: str) -> str:
        value = value.lower()
        if len(value) > 200 or not _HOST_NAME.fullmatch(value):
            raise ValueError("no domain name")
        return value

    @validates("public_url")
    @classmethod
    def _web_address(cls, value: str) -> str:
        parts = urlsplit(value.rstrip("/"))
        if parts.scheme not in ("http", "https") or not parts.hostname or "@" in parts.netloc:
            raise ValueError("no web address")
        if parts.path or parts.query or parts.fragment or (parts.port is not None and parts.port < 0):
            raise ValueError("more than a host and a port")
        return value.rstrip("/")

    @validates("database")
    @classmethod
    def _database_url(cls, value: str) -> str:
        try:
            url = make_url(value)
        except ArgumentError:
            raise ValueError("no database URL") from None
        if url.drivername == "sqlite":
            if not (url.database or "").startswith("/"):
                raise ValueError("not an absolute path")
        elif url.drivername != "postgresql+psycopg":
            raise ValueError("another database")
        return value

    @property
    def instance_types(self) -> Mapping[str, InstanceType]:
        """The standard types and those of the settings, by name."""
        own = {name: InstanceType(name, size.cpu, size.memory_mib) for name, size in self.types.items()}
        return MappingProxyType({**STANDARD_TYPES, **own})

    @property
    def database_url(self) -> str:
        """What to open: the setting `database`, by default a file in the data directory."""
        return self.database

    @property
    def session_limits(self) -> SessionLimits:
        """How long sessions last."""
        return SessionLimits(self.sessions.idle_s, self.sessions.lifetime_s)


_HTTPS_AFTER_HTTP = 443 - 80
"""8443 stands to 8080 as 443 to 80."""


def _https_of(known: dict[str, Any]) -> Address | None:
    http = known.get("http")
    if http is None or http.port == 0 or http.port + _HTTPS_AFTER_HTTP > 65535:
        return None
    https = Address(http.host, http.port + _HTTPS_AFTER_HTTP)
    return None if https == known.get("listen") else https


def _url_of(known: dict[str, Any]) -> str:
    listen, domain = known.get("listen"), known.get("domain", "localhost")
    console, http, https = known.get("console"), known.get("http"), known.get("https")
    if console is not None and console.host and http is not None:
        if https is not None and console.https != "off":
            return f"https://{console.host}{'' if https.port == 443 else f':{https.port}'}"
        return f"http://{console.host}{'' if http.port == 80 else f':{http.port}'}"
    if listen is None:
        return "http://localhost"
    return f"http://{Address(domain, listen.port) if listen.host in _ANY_ADDRESS else listen}"
