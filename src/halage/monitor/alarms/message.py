"""The text of a message about a change. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from halage.monitor.alarms.documents import in_words
from halage.monitor.alarms.model import Change, Definition, State
from halage.monitor.alarms.rules import condition

_WORDS = {
    State.ALARM: "ALARM",
    State.OK: "OK again",
    State.INSUFFICIENT_DATA: "No data",
}


@dataclass(frozen=True, slots=True)
class Message:
    """What a person is told."""

    title: str
    body: str


def message_of(definition: Definition, change: Change, public_url: str) -> Message:
    """What happened, where, since when, the numbers, and where to look."""
    place = place_of(definition)
    title = f"{_WORDS[change.state]}: {definition.name} ({place})"
    lines = [change.reason]
    if definition.expression is not None:
        lines.append(f"{definition.expression} {condition(definition)}")
    if definition.description:
        lines.append(definition.description)
    lines += [
        "",
        f"Where: {place}",
        f"Since: {moment(change.period_end)}",
        f"Before: {change.state_before}",
    ]
    if others := [in_words(each) for each in definition.actions_on(change.state)][:10]:
        lines.append(f"Halage does: {'; '.join(others)}")
    lines += [f"Look: {link_to(change.alarm_id, public_url)}", f"Reference: change {change.id}"]
    return Message(title, "\n".join(lines))


def trial_message(definition: Definition, alarm_id: int, reason: str, by: str, public_url: str) -> Message:
    """A message that somebody sends to see whether it arrives."""
    place = place_of(definition)
    lines = [
        f"{by} tests whether messages of this alarm arrive. Nothing has happened.",
        f"Now: {reason}",
        f"Look: {link_to(alarm_id, public_url)}",
    ]
    return Message(f"Test: {definition.name} ({place})", "\n".join(lines))


def body_of(definition: Definition, change: Change, public_url: str) -> Mapping[str, Any]:
    """The JSON body of an HTTP call about a change."""
    return {
        "alarm": definition.name,
        "alarm_id": change.alarm_id,
        "change": change.id,
        "project": definition.project,
        "environment": definition.environment,
        "state": change.state.value,
        "state_before": change.state_before.value,
        "at": datetime.fromtimestamp(change.period_end, UTC).isoformat(),
        "reason": change.reason,
        "expression": definition.expression,
        "rule": definition.rule,
        "facts": change.facts,
        "url": link_to(change.alarm_id, public_url),
    }


def place_of(definition: Definition) -> str:
    """`prod of shop`, `shop`, `the server`."""
    if definition.project is None:
        return "the server"
    if definition.environment is None:
        return definition.project
    return f"{definition.environment} of {definition.project}"


def link_to(alarm_id: int, public_url: str) -> str:
    """The alarm's page in the console."""
    return f"{public_url}/alarms/{alarm_id}"


def moment(at: float) -> str:
    """`2026-11-25 08:57:10 UTC`."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
