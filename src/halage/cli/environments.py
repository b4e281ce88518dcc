"""`halage env`: what runs, its logs, releases and variables."""

import sys
import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from halage.base.errors import Invalid
from halage.cli import terminal
from halage.cli.exits import FAILED
from halage.cli.rows import environment_row
from halage.cli.session import Session, session_of
from halage.cli.words import duration, local, scale_words, short, version_of

if TYPE_CHECKING:
    from halage.client import Client

POLL_S = 0.5
SCALE_PATIENCE_S = 900.0
"""How long `scale` waits: an instance may take its whole boot time, and be tried again."""
_FINAL = ("succeeded", "rolled_back", "failed", "superseded")

Project = Annotated[str, typer.Argument(help="The project's name.")]
Environment = Annotated[str, typer.Argument(help="The environment's name, such as prod.")]
Wait = Annotated[bool, typer.Option("--wait/--no-wait", help="Wait until it is done.")]


def list_(context: typer.Context, project: Project) -> None:
    """List a project's environments."""
    session = session_of(context)
    with session.connect() as client:
        found = client.list_environments(project)
    columns = ("environment", "health", "release", "serving", "address")
    rows = [environment_row(each) for each in found]
    session.show(columns, rows, found, empty=f"{project} has no environments yet: push a commit.")


def show(context: typer.Context, project: Project, environment: Environment) -> None:
    """Show an environment: its health and why, its instances, its last deployment by phase."""
    session = session_of(context)
    with session.connect() as client:
        found = client.show_environment(project, environment)
    if session.wants_json:
        terminal.print_json(found)
    else:
        _print_environment(found)


def logs(
    context: typer.Context,
    project: Project,
    environment: Environment,
    lines: Annotated[
        int, typer.Option("--lines", "-n", min=1, max=5000, help="How many of the last ones.")
    ] = 200,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on as they are written.")] = False,
) -> None:
    """Print what the instances wrote."""
    session = session_of(context)
    with session.connect() as client:
        for line in client.read_logs(project, environment, lines=lines):
            _print_line(session, line)
        if follow:
            for line in client.follow_logs(project, environment):
                _print_line(session, line)


def restart(context: typer.Context, project: Project, environment: Environment, wait: Wait = True) -> None:
    """Replace the instances one by one, with the variables of now."""
    session = session_of(context)
    with session.connect() as client:
        finish_deployment(session, client, client.restart_environment(project, environment), wait)


def rollback(
    context: typer.Context,
    project: Project,
    environment: Environment,
    release: Annotated[
        str | None, typer.Argument(help="Its number, such as v7; without: the last good one.")
    ] = None,
    wait: Wait = True,
) -> None:
    """Return to an earlier release."""
    session = session_of(context)
    number = None if release is None else number_of(release)
    with session.connect() as client:
        started = client.roll_back_environment(project, environment, release=number)
        finish_deployment(session, client, started, wait)


def scale(
    context: typer.Context,
    project: Project,
    environment: Environment,
    instances: Annotated[
        int | None, typer.Argument(metavar="N", min=0, max=100, help="How many instances there shall be.")
    ] = None,
    process: Annotated[str, typer.Option(help="The kind of process; workers may be scaled to 0.")] = "web",
    reset: Annotated[bool, typer.Option("--reset", help="As many as halage.toml says again.")] = False,
    wait: Wait = True,
) -> None:
    """Have more or fewer instances at once; it holds through deployments until it is reset."""
    session = session_of(context)
    if reset == (instances is not None):
        raise Invalid("Say how many instances, such as 3, or --reset for what halage.toml says.")
    with session.connect() as client:
        found = client.scale_environment(project, environment, None if reset else instances, process=process)
        if wait and process == "web":
            found = _until_scaled(client, found)
    if process != "web":
        session.tell(f"{environment} of {project}: {process} is scaled.", found)
        return
    session.tell(f"{environment} of {project}: {scale_words(found)}.", found)
    if wait and not _is_scaled(found):
        raise typer.Exit(FAILED)


def _until_scaled(client: "Client", environment: dict[str, Any]) -> dict[str, Any]:
    """The environment once it has the instances that it shall have, or once that takes too long."""
    place = f"{environment['name']} of {environment['project']}"
    deadline = time.monotonic() + SCALE_PATIENCE_S
    with terminal.progress(f"scale {place}") as tell:
        while not _is_scaled(environment) and time.monotonic() < deadline:
            tell(f"{environment['serving']} of {environment['wanted']} instances, {environment['cause']}")
            time.sleep(POLL_S)
            environment = client.show_environment(environment["project"], environment["name"])
    return environment


def _is_scaled(environment: dict[str, Any]) -> bool:
    living = [
        each for each in environment["instances"] if each["process"] == "web" and each["state"] != "taken_out"
    ]
    return len(living) == environment["wanted"] and all(
        each["state"] == "serving" and each["is_up"] for each in living
    )


def releases(context: typer.Context, project: Project, environment: Environment) -> None:
    """List the releases that can be returned to."""
    session = session_of(context)
    with session.connect() as client:
        found = client.list_releases(project, environment)
    rows = [
        [
            version_of(each),
            terminal.coloured(each["state"]),
            f"{short(each['commit'])} {each['title'][:60]}",
            local(each["created_at"]),
            each["created_by"],
        ]
        for each in found
    ]
    columns = ("release", "state", "commit", "made", "by")
    session.show(columns, rows, found, empty=f"Nothing was released to {environment} yet.")


def set_(
    context: typer.Context,
    project: Project,
    environment: Environment,
    variables: Annotated[
        list[str],
        typer.Argument(metavar="NAME=VALUE...", help="A bare NAME: its value is asked for, or stdin."),
    ],
    secret: Annotated[
        bool, typer.Option("--secret", help="Encrypted at rest, masked in consoles, never shown again.")
    ] = False,
) -> None:
    """Set variables; instances have them from their next start on (`halage env restart`)."""
    session = session_of(context)
    pairs = [_pair(each, len(variables)) for each in variables]
    with session.connect() as client:
        for name, value in pairs:
            client.set_variable(project, environment, name, value, is_secret=secret)
    names = [name for name, _ in pairs]
    session.tell(
        f"Set {', '.join(names)} in {environment} of {project}.", {"set": names, "is_secret": secret}
    )
    terminal.print_note(
        f"Instances have it from their next start on: halage env restart {project} {environment}"
    )


def unset(
    context: typer.Context,
    project: Project,
    environment: Environment,
    names: Annotated[list[str], typer.Argument(metavar="NAME...", help="The variables' names.")],
) -> None:
    """Remove variables; instances lose them at their next start."""
    session = session_of(context)
    with session.connect() as client:
        for name in names:
            client.unset_variable(project, environment, name)
    session.tell(f"Removed {', '.join(names)} from {environment} of {project}.", {"unset": names})


def _pair(text: str, count: int) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if equals:
        return name, value
    if sys.stdin.isatty():
        return name, str(typer.prompt(f"Value of {name}", hide_input=True, err=True))
    if count > 1:
        raise Invalid(f"{name} has no value: write {name}=VALUE (stdin serves one bare name only).")
    return name, sys.stdin.read().removesuffix("\n")


def number_of(release: str) -> int:
    """The number of a release as people write it. Raises Invalid."""
    digits = release.removeprefix("v")
    if not digits.isdecimal():
        raise Invalid(f"A release is a number such as v7, not {release!r}; `halage env releases` lists them.")
    return int(digits)


def _print_line(session: Session, line: dict[str, Any]) -> None:
    if session.wants_json:
        terminal.print_json_line(line)
    else:
        terminal.print_line(f"{line['instance']}  {line['text']}")


def finish_deployment(session: Session, client: "Client", deployment: dict[str, Any], wait: bool) -> None:
    """Tell how a deployment goes, to its end when it shall be waited for; exit code 1 unless it succeeded."""
    if wait:
        deployment = follow_deployment(client, deployment)
    if session.wants_json:
        terminal.print_json(deployment)
    else:
        _print_deployment(deployment)
    if wait and deployment["state"] != "succeeded" and not _is_held(deployment):
        raise typer.Exit(FAILED)


def follow_deployment(client: "Client", deployment: dict[str, Any]) -> dict[str, Any]:
    """The deployment as it ended, with its progress on the terminal."""
    place = f"{deployment['environment']} of {deployment['project']}"
    with terminal.progress(f"{deployment['kind']} {place}") as tell:
        while deployment["state"] not in _FINAL and not _is_held(deployment):
            reason = deployment["reason"] or _standing(deployment)
            tell(f"{deployment['done']} of {deployment['wanted']} instances, {reason}")
            time.sleep(POLL_S)
            deployment = client.show_deployment(deployment["id"])
    return deployment


def _standing(deployment: dict[str, Any]) -> str:
    """Where a deployment stands: `batch 1 of 2, drain`."""
    if not deployment["phase"]:
        return str(deployment["state"])
    batch = f"batch {deployment['batch']} of {deployment['batches']}, " if deployment["batch"] else ""
    return f"{batch}{deployment['phase']}"


def _is_held(deployment: dict[str, Any]) -> bool:
    """Whether it waits for its time, or for somebody: nobody looks on for so long."""
    return deployment["state"] == "waiting" and bool(deployment["reason"])


def _print_deployment(deployment: dict[str, Any]) -> None:
    phases = ", ".join(f"{phase['name']} {duration(phase['duration_s'])}" for phase in deployment["phases"])
    terminal.print_facts(
        [
            ("deployment", f"{deployment['id']} ({deployment['kind']})"),
            ("state", terminal.coloured(deployment["state"])),
            ("release", f"{version_of(deployment['release'])} {deployment['release']['title']}"),
            ("before", version_of(deployment["previous_release"])),
            ("instances", f"{deployment['done']} of {deployment['wanted']}"),
            *([("policy", deployment["policy"])] if deployment["policy"] else []),
            *([("stands at", _standing(deployment))] if deployment["phase"] else []),
            *([("reason", deployment["reason"])] if deployment["reason"] else []),
            *([("time", phases)] if phases else []),
            *([("last lines", deployment["log_tail"])] if deployment["log_tail"] else []),
        ]
    )


def _print_environment(environment: dict[str, Any]) -> None:
    release = environment["release"]
    terminal.print_facts(
        [
            ("environment", f"{environment['name']} of {environment['project']}"),
            ("health", terminal.coloured(environment["colour"])),
            ("why", environment["cause"]),
            ("release", f"{version_of(release)} {release['title'] if release else ''}".strip()),
            ("instances", f"{environment['serving']} of {environment['wanted']}, {environment['type']}"),
            *([("scaled", scale_words(environment))] if environment["scaled"] is not None else []),
            *(("address", url) for url in environment["urls"]),
            *(
                ("variable", f"{each['name']}={'(secret)' if each['is_secret'] else each['value']}")
                for each in environment["variables"]
            ),
        ]
    )
    has_kinds = any(each["process"] != "web" or each["is_protected"] for each in environment["instances"])
    if environment["instances"]:
        terminal.print_line("")
        rows = [
            [
                each["id"],
                terminal.coloured(each["state"]),
                f"v{each['release_number']}",
                f"{each['address']}:{each['port']}",
                each["check"],
                each["reason"],
                *([each["process"] + (", protected" if each["is_protected"] else "")] if has_kinds else []),
            ]
            for each in environment["instances"]
        ]
        columns = (
            "instance",
            "state",
            "release",
            "address",
            "check",
            "why",
            *(["kind"] if has_kinds else []),
        )
        terminal.print_table(columns, rows, empty="")
    if environment["deployment"]:
        terminal.print_line("")
        _print_deployment(environment["deployment"])
