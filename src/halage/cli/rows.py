"""Things of the API as rows of tables."""

from typing import Any

from halage.cli import terminal
from halage.cli.words import duration, elapsed, version_of


def environment_row(environment: dict[str, Any]) -> list[Any]:
    """An environment as a row: name, health, release, serving, address."""
    return [
        environment["name"],
        terminal.coloured(environment["colour"]),
        version_of(environment["release"]),
        f"{environment['serving']} of {environment['wanted']}",
        "\n".join(environment["urls"]),
    ]


def run_row(run: dict[str, Any], now: float) -> list[Any]:
    """A run as a row: number, branch, state, commit, duration."""
    took = elapsed({"started_at": run["created_at"], "finished_at": run["finished_at"]}, now)
    return [
        str(run["id"]),
        run["branch"],
        terminal.coloured(run["state"]),
        f"{run['commit'][:8]} {run['title'][:60]}",
        duration(took or 0.0),
    ]


def stage_rows(run: dict[str, Any], now: float) -> list[list[Any]]:
    """A row for each stage: name, state, duration, reason."""
    rows = []
    for stage in run["stages"]:
        took = elapsed(stage, now) if stage["started_at"] else None
        decided = f"by {stage['decided_by']}: {stage['comment']}".rstrip(": ") if stage["decided_by"] else ""
        words = " ".join(part for part in (stage["reason"], decided) if part)
        rows.append(
            [
                stage["name"],
                terminal.coloured(stage["state"]),
                duration(took) if took is not None else "",
                words,
            ]
        )
    return rows
