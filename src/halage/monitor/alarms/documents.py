"""Definitions as JSON documents: as they are kept (secrets sealed) and as they are shown (masked)."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from halage.monitor.alarms.model import (
    Action,
    Band,
    Call,
    Definition,
    LowSamples,
    Missing,
    Operator,
    Rollback,
    Scale,
    Sealed,
    Side,
    Tell,
)

Document = dict[str, Any]
PLAIN_FIELDS = ("name", "project", "environment", "description", "expression", "rule", "threshold")
NUMBER_FIELDS = ("period_s", "periods", "breaching", "mute_while_deploying")
ACTION_FIELDS = ("on_alarm", "on_ok", "on_insufficient_data")


def to_document(definition: Definition) -> Document:
    """The definition as it is kept."""
    return _document(definition, kept_action)


def to_shown(definition: Definition) -> Document:
    """The definition as people and the journal see it."""
    return _document(definition, shown_action)


def from_document(document: Mapping[str, Any]) -> Definition:
    """The definition that was kept."""
    band = document["band"]
    values: Document = {
        **{name: document[name] for name in (*PLAIN_FIELDS, *NUMBER_FIELDS)},
        **{name: tuple(action_from(each) for each in document[name]) for name in ACTION_FIELDS},
        "band": Band(band["width"], Side(band["side"])) if band else None,
        "operator": Operator(document["operator"]),
        "missing": Missing(document["missing"]),
        "low_samples": LowSamples(document["low_samples"]),
    }
    return Definition(**values)


def _document(definition: Definition, write: Callable[[Action], Document]) -> Document:
    band = definition.band
    return {
        **{name: getattr(definition, name) for name in (*PLAIN_FIELDS, *NUMBER_FIELDS)},
        "operator": definition.operator.value,
        "band": {"width": band.width, "side": band.side.value} if band else None,
        "missing": definition.missing.value,
        "low_samples": definition.low_samples.value,
        **{name: [write(each) for each in getattr(definition, name)] for name in ACTION_FIELDS},
    }


def shown_action(action: Action) -> Document:
    """An action as people see it."""
    match action:
        case Tell(to):
            return {"kind": "tell", "to": [each.shown for each in to]}
        case Call(method, url, headers):
            shown = {name: value.shown for name, value in headers}
            return {"kind": "call", "method": method, "url": url.shown, "headers": shown}
    return kept_action(action)


def kept_action(action: Action) -> Document:
    """An action as it is kept."""
    match action:
        case Tell(to):
            return {"kind": "tell", "to": [_pair(each) for each in to]}
        case Scale(maximum, minimum, by, to):
            return {"kind": "scale", "by": by, "to": to, "minimum": minimum, "maximum": maximum}
        case Rollback(within_s, leaving):
            decided = {} if leaving is None else {"leaving": leaving}
            return {"kind": "rollback", "within_s": within_s, **decided}
        case Call(method, url, headers):
            sealed = {name: _pair(value) for name, value in headers}
            return {"kind": "call", "method": method, "url": _pair(url), "headers": sealed}


def action_from(document: Mapping[str, Any]) -> Action:
    """The action that was kept."""
    match document["kind"]:
        case "tell":
            return Tell(tuple(Sealed(*each) for each in document["to"]))
        case "scale":
            return Scale(document["maximum"], document["minimum"], document["by"], document["to"])
        case "rollback":
            return Rollback(document["within_s"], document.get("leaving"))
    headers = tuple((name, Sealed(*pair)) for name, pair in document["headers"].items())
    return Call(document["method"], Sealed(*document["url"]), headers)


def in_words(action: Action) -> str:
    """An action in a few words, without secrets."""
    match action:
        case Tell(to):
            return f"tell {', '.join(each.shown for each in to)}" if to else "tell whom messages.to names"
        case Scale(maximum, minimum, by, to):
            how = f"to {to}" if to is not None else f"by {by:+}"
            return f"scale {how} (from {minimum} to {maximum} instances)"
        case Rollback(within_s, _):
            return f"roll back, if the release was deployed in the last {within_s / 60:g} min"
        case Call(method, url, _):
            return f"{method} {url.shown}"


def _pair(sealed: Sealed) -> Sequence[str]:
    return [sealed.shown, sealed.secret]
