"""`halage env deploy`, `swap` and `report`: how releases take each other's place."""

from typing import Annotated, Any

import typer

from halage.cli import terminal
from halage.cli.environments import Environment, Project, Wait, finish_deployment, number_of
from halage.cli.exits import FAILED
from halage.cli.session import session_of
from halage.cli.words import duration, version_of

Release = Annotated[str | None, typer.Argument(help="Its number, such as v7; without: the current one anew.")]
POLICIES = "all_at_once, rolling, rolling_additional, immutable, canary or blue_green"


def deploy(
    context: typer.Context,
    project: Project,
    environment: Environment,
    release: Release = None,
    plan: Annotated[bool, typer.Option("--plan", help="Show what it would do, and begin nothing.")] = False,
    policy: Annotated[
        str | None, typer.Option("--policy", help=f"With --plan: as if it were set; {POLICIES}.")
    ] = None,
    wait: Wait = True,
) -> None:
    """Deploy a release again, by the environment's policy; exit code 1 where a plan is refused."""
    session = session_of(context)
    number = None if release is None else number_of(release)
    with session.connect() as client:
        if plan or policy is not None:
            found = client.plan_deployment(project, environment, release=number, policy=policy)
            if session.wants_json:
                terminal.print_json(found)
            else:
                _print_plan(found)
            if found["refusals"]:
                raise typer.Exit(FAILED)
            return
        if number is None:
            started = client.restart_environment(project, environment)
        else:
            started = client.roll_back_environment(project, environment, release=number)
        finish_deployment(session, client, started, wait)


def swap(context: typer.Context, project: Project, environment: Environment, wait: Wait = True) -> None:
    """Exchange the instances that serve and those of the release before, while they are kept: at once."""
    session = session_of(context)
    with session.connect() as client:
        finish_deployment(session, client, client.swap_environment(project, environment), wait)


def report(
    context: typer.Context,
    deployment: Annotated[int, typer.Argument(help="The deployment's number.")],
) -> None:
    """Show what a deployment did: its time by phase, and what visitors got before, during and after it."""
    session = session_of(context)
    with session.connect() as client:
        found = client.report_deployment(deployment)
    if session.wants_json:
        terminal.print_json(found)
    else:
        _print_report(found)


def _print_plan(plan: dict[str, Any]) -> None:
    wanted, rehearsal = plan["wanted"], plan["rehearsal"]
    facts = [
        ("deployment", f"{plan['kind']} of {plan['environment']} of {plan['project']}"),
        ("policy", f"{plan['policy']}, {_batches(plan)}"),
    ]
    if rehearsal is None:
        facts += [("refused", reason) for reason in plan["refusals"]]
        terminal.print_facts(facts)
        return
    source = f"from {plan['measured']} deployments" if plan["measured"] else "guessed: none succeeded yet"
    kept = f"; {rehearsal['kept']} are kept for {duration(plan['keep_old_s'])}" if rehearsal["kept"] else ""
    terminal.print_facts(
        [
            *facts,
            ("serving", f"{rehearsal['fewest_serving']} of {wanted} at the least"),
            ("running", f"{rehearsal['most_running']} at the most"),
            ("time", f"{duration(rehearsal['duration_s'])} ({source})"),
            ("deadline", duration(plan["deadline_s"])),
            ("extra cost", f"{rehearsal['extra_instance_hours']:.2f} instance-hours{kept}"),
        ]
    )
    terminal.print_line("")
    rows = [
        [
            duration(each["begins_s"]),
            each["phase"],
            str(each["batch"] or "-"),
            duration(each["duration_s"]),
            str(each["started"]),
            str(each["stopped"]),
            f"{each['fewest_serving']} of {wanted}",
        ]
        for each in rehearsal["phases"]
    ]
    columns = ("after", "phase", "batch", "takes", "started", "stopped", "serving")
    terminal.print_table(columns, rows, empty="")


def _batches(plan: dict[str, Any]) -> str:
    return "1 batch" if plan["batches"] == 1 else f"{plan['batches']} batches"


def _print_report(report: dict[str, Any]) -> None:
    deployment = report["deployment"]
    terminal.print_facts(
        [
            ("deployment", f"{deployment['id']} ({deployment['kind']})"),
            ("state", terminal.coloured(deployment["state"])),
            ("release", f"{version_of(deployment['release'])}, before {_before(deployment)}"),
            ("policy", report["policy"] or "-"),
            *([("canary", report["verdict"])] if report["verdict"] else []),
            *([("reason", deployment["reason"])] if deployment["reason"] else []),
        ]
    )
    terminal.print_line("")
    rows = [
        [phase["phase"], str(phase["batch"] or "-"), duration(phase["duration_s"])]
        for phase in report["phases"]
    ]
    terminal.print_table(("phase", "batch", "took"), rows, empty="It did not begin.")
    terminal.print_line("")
    rows = [_served_row(name, report[name]) for name in ("before", "during", "after") if report[name]]
    columns = ("", "requests", "failed", "p50", "p95", "p99")
    terminal.print_table(columns, rows, empty="No requests were measured around it.")


def _before(deployment: dict[str, Any]) -> str:
    return version_of(deployment["previous_release"])


def _served_row(name: str, served: dict[str, Any]) -> list[str]:
    latencies = [served[key] for key in ("p50_ms", "p95_ms", "p99_ms")]
    shown = ["-" if value is None else f"{value:.0f} ms" for value in latencies]
    return [name, str(served["requests"]), str(served["failed"]), *shown]
