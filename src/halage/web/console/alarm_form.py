"""The form of an alarm: its fields as text, the definition that they stand for, and what is wrong with which.

An action is a row of the form, named `on_alarm.0.kind` and so on; a row that is not ticked is left out. What
is secret is never sent back to the page: after a mistake elsewhere it has to be typed again.
"""

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from halage.base.errors import HalageError
from halage.monitor.alarms.documents import ACTION_FIELDS, Document, to_shown
from halage.monitor.alarms.errors import AlarmConflict
from halage.monitor.alarms.model import Definition, LowSamples, Missing, Operator, Side
from halage.monitor.alarms.sealing import MASK
from halage.monitor.metrics.errors import BadExpression, TooLarge
from halage.web.console.language import Language

KINDS = ("tell", "scale", "rollback", "call")
METHODS = ("POST", "PUT", "PATCH")
PERIODS_S = (10, 20, 30, 60, 120, 300, 600, 900, 1800, 3600, 6 * 3600, 86400)
_FAR = 1e9
MOST_ROWS = 14
"""Of actions in a list: ten, and an empty one of each kind."""
OPERATORS, SIDES, MISSING, LOW_SAMPLES = tuple(Operator), tuple(Side), tuple(Missing), tuple(LowSamples)
_SECRET_FIELDS = frozenset({"to", "url", "headers"})
_PLACES = {
    "band.width": "width",
    "band.side": "side",
    "band": "width",
    "by": "number",
    "within_s": "within",
}
"""Where the form has what the API calls otherwise."""


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with a field."""

    text: str
    is_english: bool = True
    """What services say is; the form's own sentences are in the visitor's language."""


Problems = dict[str, Problem]


@dataclass(frozen=True, slots=True)
class Row:
    """An action in the form; its fields are named PREFIX.NAME."""

    prefix: str
    kind: str
    is_on: bool


@dataclass(frozen=True, slots=True)
class AlarmForm:
    """The texts of all fields by name."""

    values: Mapping[str, str]

    @classmethod
    def of(cls, definition: Definition) -> "AlarmForm":
        """The form of a definition, with what is secret masked."""
        document = to_shown(definition)
        band = document["band"]
        plain = ("name", "environment", "description", "expression", "rule")
        values = {name: document[name] or "" for name in plain}
        values |= {name: str(document[name]) for name in ("period_s", "periods", "breaching")}
        values |= {name: str(document[name]) for name in ("operator", "missing", "low_samples")}
        values |= {
            "what": "rule" if definition.rule is not None else "expression",
            "limit": "band" if band else "threshold",
            "threshold": "" if definition.threshold is None else f"{definition.threshold:.15g}",
            "width": f"{band['width']:.15g}" if band else "3",
            "side": str(band["side"]) if band else str(Side.OUTSIDE),
            "mute_while_deploying": "yes" if definition.mute_while_deploying else "",
        }
        for name in ACTION_FIELDS:
            for number, action in enumerate(document[name]):
                values |= {f"{name}.{number}.{key}": text for key, text in _texts_of(action).items()}
        return cls(values)

    def text(self, name: str) -> str:
        """A field without the blanks around it; empty when it was not sent."""
        return self.values.get(name, "").strip()

    def rows(self, name: str) -> list[Row]:
        """The actions of a list, and an empty row for each kind that is not among them (calls: always)."""
        rows = [
            Row(prefix, self.text(f"{prefix}.kind"), self._is_on(prefix)) for prefix in self._prefixes(name)
        ]
        there = {row.kind for row in rows if row.kind != "call" or not row.is_on}
        numbers = itertools.count(len(rows))
        return rows + [Row(f"{name}.{next(numbers)}", kind, False) for kind in KINDS if kind not in there]

    def _prefixes(self, name: str) -> list[str]:
        prefixes = [f"{name}.{number}" for number in range(MOST_ROWS)]
        return [prefix for prefix in prefixes if self.text(f"{prefix}.kind") in KINDS]

    def _is_on(self, prefix: str) -> bool:
        return self.text(f"{prefix}.on") == "yes"

    def without_secrets(self) -> "AlarmForm":
        """The form as it may be sent back: of what may be secret only what is masked."""
        values = dict(self.values)
        for name, text in self.values.items():
            if name.rpartition(".")[2] in _SECRET_FIELDS:
                values[name] = "\n".join(line for line in text.splitlines() if MASK in line)
        return AlarmForm(values)

    def forgotten(self, language: Language) -> Problems:
        """The fields that have to be typed again, because what is secret is not sent back."""
        kept = self.without_secrets().values
        again = Problem(language.say("alarm_form.type_again"), is_english=False)
        return {
            name: again
            for name, text in self.values.items()
            if self._is_used(name)
            and any(line.strip() and line not in kept[name].splitlines() for line in text.splitlines())
        }

    def _is_used(self, name: str) -> bool:
        """Whether a field that may be secret is part of what the form stands for."""
        prefix, _, last = name.rpartition(".")
        if last not in _SECRET_FIELDS or not self._is_on(prefix):
            return False
        return last != "to" or self.text(f"{prefix}.who") == "these"


@dataclass
class Reading:
    """A form on its way to a definition."""

    form: AlarmForm
    language: Language
    problems: Problems = field(default_factory=dict)
    places: dict[tuple[str, int], str] = field(default_factory=dict)
    """The rows of the form by the places of the actions in the document."""

    def document(self) -> Document:
        """The definition as the API takes it; what cannot be read is in `problems`."""
        form = self.form
        is_rule = form.text("what") == "rule"
        document: Document = {
            "name": form.text("name"),
            "environment": form.text("environment") or None,
            "description": form.text("description"),
            "expression": None if is_rule else form.text("expression") or None,
            "rule": form.text("rule") or None if is_rule else None,
            "mute_while_deploying": form.text("mute_while_deploying") == "yes",
            **{name: list(self._actions(name)) for name in ACTION_FIELDS},
        }
        if is_rule:
            return document
        document |= {name: form.text(name) for name in ("operator", "missing", "low_samples")}
        document |= {name: self._whole(name) for name in ("period_s", "periods", "breaching")}
        if form.text("limit") == "band":
            return document | {"band": {"width": self._number("width"), "side": form.text("side")}}
        return document | {"threshold": self._number("threshold")}

    def _actions(self, name: str) -> Iterator[Document]:
        places = itertools.count()
        for row in self.form.rows(name):
            if row.is_on:
                self.places[name, next(places)] = row.prefix
                yield self._action(row)

    def _action(self, row: Row) -> Document:
        def text(name: str) -> str:
            return self.form.text(f"{row.prefix}.{name}")

        def whole(name: str) -> int | None:
            return self._whole(f"{row.prefix}.{name}")

        match row.kind:
            case "tell":
                to = _lines(text("to")) if text("who") == "these" else []
                if text("who") == "these" and not to:
                    self._refuse(f"{row.prefix}.to", "alarm_form.addresses_needed")
                return {"kind": "tell", "to": to}
            case "scale":
                how = "to" if text("how") == "to" else "by"
                bounds = {"minimum": whole("minimum"), "maximum": whole("maximum")}
                return {"kind": "scale", how: whole("number"), **bounds}
            case "rollback":
                minutes = self._number(f"{row.prefix}.within")
                return {"kind": "rollback", "within_s": None if minutes is None else _seconds(minutes)}
        return {"kind": "call", "method": text("method"), "url": text("url"), "headers": self._headers(row)}

    def _headers(self, row: Row) -> dict[str, str]:
        pairs = [line.partition(":") for line in _lines(self.form.text(f"{row.prefix}.headers"))]
        if not all(colon for _, colon, _ in pairs):
            self._refuse(f"{row.prefix}.headers", "alarm_form.header_needed")
        return {name.strip(): value.strip() for name, _, value in pairs}

    def _whole(self, name: str) -> int | None:
        try:
            return int(self.form.text(name)[:20])
        except ValueError:
            self._refuse(name, "alarm_form.whole_needed")
            return None

    def _number(self, name: str) -> float | None:
        try:
            number = float(self.form.text(name).replace(",", "."))
        except ValueError:
            number = math.nan
        if math.isfinite(number):
            return number
        self._refuse(name, "alarm_form.number_needed")
        return None

    def _refuse(self, name: str, key: str) -> None:
        self.problems[name] = Problem(self.language.say(key), is_english=False)

    def blame(self, error: HalageError | ValidationError) -> None:
        """Note what a service, or the description of the API's bodies, finds wrong, at the fields."""
        if isinstance(error, ValidationError):
            for entry in error.errors():
                is_shape = entry["type"] == "string_pattern_mismatch"  # a pattern tells nobody anything
                sentence = self.language.say("alarm_form.text_needed")
                problem = Problem(sentence, is_english=False) if is_shape else Problem(str(entry["msg"]))
                self._note(_location(entry["loc"]), problem)
        elif isinstance(error, AlarmConflict) and error.facts.get("name"):
            self._note("name", Problem(error.message))
        elif isinstance(error, BadExpression | TooLarge):
            self._note("expression", Problem(error.message))
        elif entries := error.facts.get("errors"):
            for entry in entries:
                words = f"found {entry['found']}; allowed is {entry['allowed']}"
                self._note(entry["location"], Problem(words))
        else:
            self._note("", Problem(error.message))

    def _note(self, location: str, problem: Problem) -> None:
        self.problems.setdefault(self._field(location), problem)

    def _field(self, location: str) -> str:
        """The field that a location means; where it means one of several, the first that the form shows."""
        first = location.split(", ")[0]
        match first.split("."):
            case [name, number, *rest] if name in ACTION_FIELDS and number.isdecimal():
                prefix = self.places.get((name, int(number)), f"{name}.{number}")
                inner = rest[0] if rest else "on"
                if inner == "to" and self.form.text(f"{prefix}.kind") == "scale":
                    inner = "number"
                return f"{prefix}.{_PLACES.get(inner, inner)}"
        if first in ("expression", "rule") and location != first:
            first = "rule" if self.form.text("what") == "rule" else "expression"
        return _PLACES.get(first, first)


def _texts_of(action: Mapping[str, Any]) -> dict[str, str]:
    """The fields of an action's row."""
    texts = {"kind": str(action["kind"]), "on": "yes"}
    match action["kind"]:
        case "tell":
            return texts | {"who": "these" if action["to"] else "everyone", "to": "\n".join(action["to"])}
        case "scale":
            how = "by" if action["to"] is None else "to"
            numbers = {"number": action[how], "minimum": action["minimum"], "maximum": action["maximum"]}
            return texts | {"how": how} | {name: str(number) for name, number in numbers.items()}
        case "rollback":
            return texts | {"within": f"{action['within_s'] / 60:g}"}
    headers = "\n".join(f"{name}: {value}" for name, value in action["headers"].items())
    return texts | {"method": str(action["method"]), "url": str(action["url"]), "headers": headers}


def _location(parts: Sequence[int | str]) -> str:
    """Where in the document, without the kind that an action is told by."""
    kept = [str(part) for place, part in enumerate(parts) if not (place == 2 and part in KINDS)]
    return ".".join(kept)


def _seconds(minutes: float) -> int:
    """Whole seconds; of what is far from any that is allowed only that it is."""
    return round(60 * max(-_FAR, min(_FAR, minutes)))


def _lines(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip()]
