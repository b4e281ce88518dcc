"""The command `halage`: a client of the HTTP API, but for `serve` and `check`."""

import sys
from typing import Annotated

import typer

import halage
from halage.base.errors import HalageError
from halage.cli import (
    alarms,
    certificates,
    check,
    configure,
    credentials,
    dashboards,
    demo,
    environments,
    events,
    executions,
    health,
    logs,
    making,
    members,
    metric_intake,
    metrics,
    projects,
    rollouts,
    runs,
    scaling,
    serve,
    settings,
    terminal,
    tokens,
    users,
)
from halage.cli.exits import exit_code_of
from halage.cli.session import Output, OutputOption, Session, takes_output

app = typer.Typer(
    name="halage",
    help="From `git push` to a live site: tests, environments, approvals and a balancer.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["--help", "-h"]},
)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"halage {halage.__version__}")
        raise typer.Exit


@app.callback()
def _remember(
    context: typer.Context,
    profile: Annotated[
        str | None, typer.Option("--profile", help="Which profile of `halage configure` (or HALAGE_PROFILE).")
    ] = None,
    output: OutputOption = None,
    _version: Annotated[
        bool | None,
        typer.Option("--version", help="Show the version.", callback=_show_version, is_eager=True),
    ] = None,
) -> None:
    context.obj = Session(profile, Output(output) if output else None)


def _group(name: str, help_: str, parts: list[tuple[str, object]]) -> typer.Typer:
    group = typer.Typer(name=name, help=help_, no_args_is_help=True, rich_markup_mode=None)
    for command, function in parts:
        assert callable(function)
        group.command(command)(takes_output(function))
    return group


for name_, function_ in (
    ("check", check.check),
    ("approve", runs.approve),
    ("reject", runs.reject),
    ("events", events.events),
    ("logs", logs.logs),
    ("git-credential", credentials.git_credential),
):
    app.command(name_)(takes_output(function_))
app.command("serve")(serve.serve)
app.command("configure")(configure.configure)
app.command("demo")(demo.demo)
app.command("teardown", hidden=True)(serve.teardown)

PROJECTS = _group(
    "project",
    "Projects: a site with its repository, environments and members.",
    [
        ("create", projects.create),
        ("list", projects.list_),
        ("show", projects.show),
        ("delete", projects.delete),
    ],
)
PROJECTS.add_typer(
    _group(
        "member",
        "Who may do what in a project.",
        [("list", members.list_), ("set", members.set_), ("remove", members.remove)],
    )
)
app.add_typer(PROJECTS)
app.add_typer(
    _group(
        "run",
        "Runs: the way of one commit through its stages.",
        [
            ("list", runs.list_),
            ("show", runs.show),
            ("watch", runs.watch),
            ("logs", runs.logs),
            ("cancel", runs.cancel),
            ("retry", runs.retry),
        ],
    )
)
ENVIRONMENTS = _group(
    "env",
    "Environments: what runs, its logs, releases, settings and variables.",
    [
        ("list", environments.list_),
        ("show", environments.show),
        ("logs", environments.logs),
        ("restart", environments.restart),
        ("rollback", environments.rollback),
        ("deploy", rollouts.deploy),
        ("swap", rollouts.swap),
        ("report", rollouts.report),
        ("scale", environments.scale),
        ("scaling", scaling.scaling),
        ("suspend", scaling.suspend),
        ("resume", scaling.resume),
        ("protect", scaling.protect),
        ("simulate", scaling.simulate),
        ("health", health.show),
        ("take-out", health.take_out),
        ("put-back", health.put_back),
        ("releases", environments.releases),
        ("set", environments.set_),
        ("unset", environments.unset),
        ("create", making.create),
        ("clone", making.clone),
        ("rebuild", making.rebuild),
        ("terminate", making.terminate),
    ],
)
ENVIRONMENTS.add_typer(
    _group(
        "config",
        "Settings: what holds and where it comes from, what is set on the server, its history.",
        [
            ("show", settings.show),
            ("set", settings.set_),
            ("unset", settings.unset),
            ("diff", settings.diff),
            ("history", settings.history),
            ("export", settings.export),
            ("import", settings.import_),
        ],
    )
)
ENVIRONMENTS.add_typer(
    _group(
        "template",
        "Templates: settings under a name, to make environments of.",
        [
            ("save", making.save_template),
            ("list", making.list_templates),
            ("delete", making.delete_template),
        ],
    )
)
ENVIRONMENTS.add_typer(
    _group(
        "certificate",
        "Certificates: what visitors are shown by HTTPS.",
        [
            ("show", certificates.show),
            ("set", certificates.set_),
            ("make", certificates.make),
            ("remove", certificates.remove),
            ("authority", certificates.authority),
        ],
    )
)
ENVIRONMENTS.add_typer(
    _group(
        "execution",
        "Executions: commands and shells that run in an environment now.",
        [("list", executions.list_), ("end", executions.end)],
    )
)
# Their output is that of what they run.
ENVIRONMENTS.command("exec")(executions.exec_)
ENVIRONMENTS.command("shell")(executions.shell)
app.add_typer(ENVIRONMENTS)
LOGS = _group(
    "log",
    "Logs: groups of lines, files of them, filters that become metrics, outlets that they are sent on to.",
    [("groups", logs.groups), ("export", logs.export)],
)
LOGS.add_typer(
    _group(
        "filter",
        "Searches whose hits are counted in a metric.",
        [
            ("create", logs.create_filter),
            ("list", logs.list_filters),
            ("change", logs.change_filter),
            ("delete", logs.delete_filter),
        ],
    )
)
LOGS.add_typer(
    _group(
        "outlet",
        "Places outside that lines are sent on to.",
        [
            ("create", logs.create_outlet),
            ("list", logs.list_outlets),
            ("pause", logs.pause_outlet),
            ("resume", logs.resume_outlet),
            ("delete", logs.delete_outlet),
        ],
    )
)
app.add_typer(LOGS)
app.add_typer(
    _group(
        "metric",
        "Metrics: what is measured, what an expression comes to, what a site measures itself.",
        [
            ("list", metrics.list_),
            ("query", metrics.query),
            ("put", metric_intake.put),
            ("intake", metric_intake.intake),
            ("export", metric_intake.export),
        ],
    )
)
app.add_typer(
    _group(
        "alarm",
        "Alarms: what is watched, what it says, and what is done when that changes.",
        [
            ("list", alarms.list_),
            ("show", alarms.show),
            ("create", alarms.create),
            ("set", alarms.set_),
            ("history", alarms.history),
            ("test", alarms.test),
            ("disable", alarms.disable),
            ("enable", alarms.enable),
            ("export", alarms.export),
            ("import", alarms.import_),
            ("delete", alarms.delete),
        ],
    )
)
app.add_typer(
    _group(
        "dashboard",
        "Dashboards: graphs that people laid out, as JSON documents.",
        [
            ("list", dashboards.list_),
            ("show", dashboards.show),
            ("export", dashboards.export),
            ("import", dashboards.import_),
            ("delete", dashboards.delete),
        ],
    )
)
app.add_typer(
    _group(
        "token",
        "API tokens of one's own.",
        [("create", tokens.create), ("list", tokens.list_), ("revoke", tokens.revoke)],
    )
)
app.add_typer(
    _group(
        "user",
        "People.",
        [("add", users.add), ("list", users.list_), ("end", users.end), ("login-link", users.login_link)],
    )
)


def main() -> None:
    """Run the command line and end the process with one of the exit codes of `halage.cli.exits`."""
    try:
        app(prog_name="halage")
    except HalageError as error:
        terminal.print_error(error.message)
        sys.exit(exit_code_of(error))


if __name__ == "__main__":
    main()
