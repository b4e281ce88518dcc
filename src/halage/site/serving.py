"""How an instance of a site is served: its command, its files, its environment."""

import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from halage.base.errors import Invalid
from halage.site import nginx, phpfpm, supervisor
from halage.site.detect import PHP_SESSIONS, PYTHON_PACKAGES, TEST_PACKAGES
from halage.site.model import Kind, Site

SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_UNQUOTABLE = frozenset("\"'\\$;{}\n\r\t\x00")

_SIMPLE = re.compile(r"(?P<assignments>([A-Za-z_]\w*=[^\s\"'`$]*\s+)*)(?P<word>[\w./${}-]+)(\s|$)")
_SEVERAL = re.compile(r"[;&|()`\n]")
_OF_THE_SHELL = frozenset(
    {
        ".",
        ":",
        "cd",
        "command",
        "eval",
        "exec",
        "exit",
        "export",
        "for",
        "if",
        "read",
        "set",
        "source",
        "test",
    }
    | {"time", "trap", "ulimit", "umask", "unset", "until", "while", "case", "{", "!"}
)


@dataclass(frozen=True, slots=True)
class Place:
    """Where an instance runs, and what it is told.

    `release` is the unpacked site with its persistent paths in place; `private` is a directory of
    this instance alone that it may write to. `variables` are those of the site, of its environment
    and of people, merged (see `merged_variables`).
    """

    release: Path
    private: Path
    address: str
    port: int
    account_is_separate: bool = False
    """Whether it runs as a user of its own: then nothing in it is given to the server's user."""
    memory_mib: int = 256
    project: str = ""
    environment: str = ""
    release_number: int = 0
    commit: str = ""
    variables: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Serving:
    """What to start. Paths of `files` are relative to `Place.private`; the working directory is the release.

    `environment` is the whole of it, `Place.variables` included: add nothing.
    """

    command: tuple[str, ...]
    files: dict[str, str]
    environment: dict[str, str]


def serving(site: Site, place: Place) -> Serving:
    """What one instance of the site runs.

    A start command wins; else PHP is served by php-fpm behind nginx and static files by nginx.
    Raises Invalid when a path holds a sign that no configuration file can quote.
    """
    environment = instance_environment(site, place)
    if site.run.start is not None:
        return Serving(("sh", "-c", start_line(site.run.start)), {}, environment)
    _check_paths(place)
    root = _document_root(site, place)
    if site.run.php_development_server:
        files = {"router.php": phpfpm.router(root), "serve.sh": _development_server(site, place, root)}
    elif site.kind is Kind.STATIC:
        conf = nginx.configuration(place.address, place.port, place.private, nginx.static_locations(root))
        files = {"nginx.conf": conf, "serve.sh": supervisor.script(place.private, has_php=False)}
    else:
        files = _php_files(site, place, root)
    return Serving(("sh", str(place.private / "serve.sh")), files, environment)


def start_line(start: str) -> str:
    """The start command so that the shell around it does not end before the site on SIGTERM.

    A simple command takes the place of the shell. Of several, the shell waits for the one that
    runs: a TERM to the group reaches that one as well.
    """
    words = _SIMPLE.match(start)
    if words is None or words["word"] in _OF_THE_SHELL or _SEVERAL.search(start):
        return f"trap : TERM\n{start}"
    return f"{words['assignments']}exec {start[words.end('assignments') :]}"


def process(site: Site, place: Place, command: str) -> Serving:
    """What runs a command in the release as an instance would be: a worker, or a question to the site."""
    lines = [*_preparation(site, place), start_line(command)]
    return Serving(("sh", "-c", "\n".join(lines)), {}, instance_environment(site, place))


def release_step(site: Site, place: Place) -> Serving | None:
    """What runs once for the release before its first instance; None when the site names nothing."""
    if site.run.release_command is None:
        return None
    lines = [*_preparation(site, place), site.run.release_command]
    environment = instance_environment(site, place)
    return Serving(("sh", "-c", "\n".join(lines)), {}, environment)


_OWN_SHELL = """\
export PS1="$HALAGE_PROJECT/$HALAGE_ENVIRONMENT v$HALAGE_RELEASE $ "
if command -v bash >/dev/null; then exec bash --noprofile --norc; fi
exec sh"""
"""Nobody's own settings are read: the home is a fresh directory, or that of an instance."""


def one_off(site: Site, place: Place, command: Sequence[str]) -> Serving:
    """What runs a command once where an instance would run; without a command, a shell.

    Nothing of the command is read by the shell that prepares the directories.
    """
    lines = [*_preparation(site, place), 'exec "$@"' if command else _OWN_SHELL]
    words = ("sh", "-c", "\n".join(lines), "sh", *command)
    return Serving(words, {}, instance_environment(site, place))


def instance_environment(site: Site, place: Place) -> dict[str, str]:
    """The whole environment of an instance: defaults of the kind, then variables, then Halage's own."""
    return {
        **_kind_variables(site.kind, place.environment),
        **_package_paths(site.kind, str(place.release)),
        **place.variables,
        "HOST": place.address,
        "PORT": str(place.port),
        "HOME": str(place.private),
        "TMPDIR": str(place.private),
        "HALAGE_PROJECT": place.project,
        "HALAGE_ENVIRONMENT": place.environment,
        "HALAGE_RELEASE": str(place.release_number),
        "HALAGE_COMMIT": place.commit,
    }


def job_environment(site: Site, checkout: str) -> dict[str, str]:
    """What the build and the tests need to find what the build installs, in a checkout at this path.

    The default commands count on it.
    """
    paths = _package_paths(site.kind, checkout)
    if site.kind is Kind.PYTHON:
        paths["PYTHONPATH"] += f":{checkout}/{TEST_PACKAGES}:{checkout}"
    return {**paths, "CI": "true"}


def merged_variables(site: Site, environment: str, people: Mapping[str, str]) -> dict[str, str]:
    """The variables of one environment: the site's, over them its environment's, over them people's."""
    plan = site.environments.get(environment)
    return {**site.variables, **((plan.variables if plan else None) or {}), **people}


def _kind_variables(kind: Kind, environment: str) -> dict[str, str]:
    if kind is Kind.LARAVEL:
        stage = "production" if environment == "prod" else environment or "production"
        return {"APP_ENV": stage, "APP_DEBUG": "false", "LOG_CHANNEL": "stderr"}
    if kind is Kind.NODE:
        return {"NODE_ENV": "production"}
    return {"PYTHONUNBUFFERED": "1"} if kind is Kind.PYTHON else {}


def _package_paths(kind: Kind, root: str) -> dict[str, str]:
    folder = {
        Kind.LARAVEL: "vendor/bin",
        Kind.PHP: "vendor/bin",
        Kind.PYTHON: f"{PYTHON_PACKAGES}/bin",
        Kind.NODE: "node_modules/.bin",
    }.get(kind)
    paths = {"PATH": f"{root}/{folder}:{SYSTEM_PATH}" if folder else SYSTEM_PATH}
    if kind is Kind.PYTHON:
        paths["PYTHONPATH"] = f"{root}/{PYTHON_PACKAGES}"
    return paths


def _check_paths(place: Place) -> None:
    for path in (str(place.release), str(place.private), place.address):
        if _UNQUOTABLE & set(path):
            raise Invalid(
                f"The path {path!r} cannot be served: it holds a quote, a dollar, a semicolon or a brace. "
                f"Start the server with a data directory without them.",
                path=path,
            )


def _document_root(site: Site, place: Place) -> str:
    root = site.run.document_root
    return str(place.release) if root == "." else f"{place.release}/{root}"


def _php_files(site: Site, place: Place, root: str) -> dict[str, str]:
    socket = place.private / "php.sock"
    if site.kind is Kind.LARAVEL:
        locations = nginx.laravel_locations(root, socket)
    else:
        locations = nginx.php_locations(root, socket, _persistent_urls(site))
    sessions = place.release / PHP_SESSIONS if site.kind is Kind.PHP else place.private
    return {
        "nginx.conf": nginx.configuration(place.address, place.port, place.private, locations),
        "php-fpm.conf": phpfpm.configuration(place.private, sessions, place.memory_mib),
        "serve.sh": supervisor.script(place.private, has_php=True, preparation=_preparation(site, place)),
    }


def _persistent_urls(site: Site) -> list[str]:
    """The URLs of what visitors may have uploaded: nothing in there is ever run."""
    prefix = "" if site.run.document_root == "." else f"{site.run.document_root}/"
    paths = [path for path in site.run.persistent if path.startswith(prefix)]
    return [f"/{path.removeprefix(prefix)}/" for path in paths if not path.startswith(".")]


def _preparation(site: Site, place: Place) -> list[str]:
    """Lines of shell that make the directories that the kind counts on and git does not keep."""
    release = shlex.quote(str(place.release))
    if site.kind is Kind.LARAVEL:
        folders = "storage/app/public storage/logs bootstrap/cache"
        folders += " storage/framework/cache/data storage/framework/sessions storage/framework/views"
        link = "[ -e public/storage ] || [ -L public/storage ] || ln -s ../storage/app/public public/storage"
        return [f"cd {release} && mkdir -p {folders}", f"{{ {link}; }} 2>/dev/null || :"]
    if site.kind is Kind.PHP:
        return [f"cd {release} && mkdir -p {PHP_SESSIONS}"]
    return []


def _development_server(site: Site, place: Place, root: str) -> str:
    address = f"{place.address}:{place.port}"
    router = place.private / "router.php"
    start = shlex.join(["php", "-S", address, "-t", root, str(router)])
    workers = "PHP_CLI_SERVER_WORKERS=4"
    return "\n".join(["set -u", *_preparation(site, place), f"{workers} exec {start}", ""])
