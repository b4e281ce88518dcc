"""`halage run`, `approve`, `reject`: the way of a commit."""

import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from halage.base.errors import NotFound
from halage.cli import terminal
from halage.cli.exits import FAILED
from halage.cli.rows import run_row, stage_rows
from halage.cli.session import session_of
from halage.cli.words import local, short

if TYPE_CHECKING:
    from halage.client import Client

WhichRun = Annotated[str, typer.Argument(metavar="RUN", help="A run's number, or a project: its latest run.")]
Project = Annotated[str, typer.Argument(help="The project's name.")]
MaybeRun = Annotated[int | None, typer.Argument(help="The run's number; without: the one that waits.")]
LAST_LINES = 15
"""How much of what a failed instance wrote is shown with its run."""
Comment = Annotated[str, typer.Option("--comment", "-m", help="Why; it is kept with the run.")]


def list_(
    context: typer.Context,
    project: Project,
    limit: Annotated[int, typer.Option(min=1, max=200, help="How many of the latest.")] = 20,
) -> None:
    """List a project's runs, newest first."""
    session = session_of(context)
    with session.connect() as client:
        runs = client.list_runs(project, limit=limit)
    now = time.time()
    rows = [run_row(run, now) for run in runs]
    empty = f"{project} has no runs yet: push a commit."
    session.show(("run", "branch", "state", "commit", "took"), rows, runs, empty=empty)


def show(context: typer.Context, run: WhichRun) -> None:
    """Show a run with its stages."""
    session = session_of(context)
    with session.connect() as client:
        found = find_run(client, run)
        last_lines = _last_lines(client, found)
    if session.wants_json:
        terminal.print_json(found)
        return
    _print_run(found)
    if last_lines:
        terminal.print_line("")
        terminal.print_line("The last lines of what failed:")
        for line in last_lines:
            terminal.print_line(f"  {line}", "dim")


def _last_lines(client: "Client", run: dict[str, Any]) -> list[str]:
    """What the site wrote before its deployment was turned back; what failed earlier is in `run logs`."""
    for stage in run["stages"]:
        if stage["state"] == "failed" and stage["deployment_id"] is not None:
            tail: str = client.show_deployment(stage["deployment_id"])["log_tail"]
            return tail.splitlines()[-LAST_LINES:]
    return []


def watch(
    context: typer.Context,
    run: WhichRun,
    console: Annotated[bool, typer.Option(help="Show what the commands print.")] = True,
    until_approval: Annotated[
        bool, typer.Option("--until-approval", help="End once it waits for an approval.")
    ] = False,
) -> None:
    """Watch a run to its end. The exit code is 0 when it succeeded, else 1."""
    from halage.cli.watch import watch_run

    session = session_of(context)
    with session.connect() as client:
        number = find_run(client, run)["id"]
        last = watch_run(
            client, number, shows=not session.wants_json, console=console, until_approval=until_approval
        )
    if session.wants_json:
        terminal.print_json(last)
    if last["state"] not in ("succeeded", "waiting"):
        raise typer.Exit(FAILED)


def logs(
    context: typer.Context,
    run: WhichRun,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until the job ends.")] = False,
) -> None:
    """Print what the commands of a run printed."""
    session = session_of(context)
    with session.connect() as client:
        found = find_run(client, run)
        jobs = [stage["job_id"] for stage in found["stages"] if stage["job_id"] is not None]
        if not jobs:
            raise NotFound(
                f"Run {found['id']} has no job yet; it is {found['state']}. {found['reason']}".strip()
            )
        for line in client.follow_console(jobs[-1]) if follow else _whole_console(client, jobs[-1]):
            if session.wants_json:
                terminal.print_json_line(line)
            else:
                terminal.print_line(line["text"])


def cancel(context: typer.Context, run: WhichRun) -> None:
    """End a run: its commands are stopped, a deployment under way is rolled back."""
    session = session_of(context)
    with session.connect() as client:
        found = client.cancel_run(find_run(client, run)["id"])
    session.tell(f"Run {found['id']} is {found['state']}.", found)


def retry(
    context: typer.Context,
    run: WhichRun,
    stage: Annotated[
        str | None, typer.Option(help="From this stage on; without: the one that failed.")
    ] = None,
) -> None:
    """Start a run again for the same commit."""
    session = session_of(context)
    with session.connect() as client:
        found = client.retry_run(find_run(client, run)["id"], stage=stage)
    session.tell(f"Run {found['id']} goes on; `halage run watch {found['id']}` shows it.", found)


def approve(context: typer.Context, project: Project, run: MaybeRun = None, comment: Comment = "") -> None:
    """Approve the run of a project that waits: it goes on to its next stage."""
    session = session_of(context)
    with session.connect() as client:
        found = (
            client.approve_project(project, comment=comment)
            if run is None
            else client.approve_run(_of_project(client, run, project), comment=comment)
        )
    session.tell(
        f"Approved run {found['id']} ({short(found['commit'])} {found['title']}). "
        f"`halage run watch {found['id']}` shows it.",
        found,
    )


def reject(context: typer.Context, project: Project, run: MaybeRun = None, comment: Comment = "") -> None:
    """Reject the run of a project that waits: it ends."""
    session = session_of(context)
    with session.connect() as client:
        found = (
            client.reject_project(project, comment=comment)
            if run is None
            else client.reject_run(_of_project(client, run, project), comment=comment)
        )
    session.tell(f"Rejected run {found['id']} ({short(found['commit'])} {found['title']}).", found)


def find_run(client: "Client", text: str) -> dict[str, Any]:
    """The run with that number, or the latest one of the project with that name. Raises NotFound."""
    if text.isdecimal():
        return client.show_run(int(text))
    runs = client.list_runs(text, limit=1)
    if not runs:
        raise NotFound(f"{text} has no runs yet: push a commit.")
    return runs[0]


def _of_project(client: "Client", run: int, project: str) -> int:
    """The run's number, once it is sure that it is the project's. Raises NotFound."""
    if client.show_run(run)["project"] != project:
        raise NotFound(f"Run {run} is not one of {project}: `halage run list {project}` shows them.")
    return run


def _whole_console(client: "Client", job: int) -> Any:
    from_line = 0
    while lines := client.read_console(job, from_line=from_line):
        yield from lines
        from_line = lines[-1]["number"] + 1


def _print_run(run: dict[str, Any]) -> None:
    terminal.print_facts(
        [
            ("run", f"{run['id']} of {run['project']}"),
            ("commit", f"{short(run['commit'])} {run['title']}"),
            ("branch", run["branch"]),
            ("author", run["author"]),
            ("pushed", f"{local(run['created_at'])} by {run['created_by']}"),
            ("state", terminal.coloured(run["state"])),
            *([("reason", run["reason"])] if run["reason"] else []),
        ]
    )
    terminal.print_line("")
    terminal.print_table(("stage", "state", "took", "why"), stage_rows(run, time.time()), empty="")
