"""Sentences of the console in each language, and which language a visitor gets."""

import string
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

CATALOGUES = Path(__file__).parent.parent / "catalogue"
DEFAULT = "en"


class SentenceMissing(KeyError):
    """A page asks for a sentence that the catalogue does not have: a defect of the page."""


@dataclass(frozen=True, slots=True)
class Language:
    """One catalogue: sentences by dotted key, with `{name}` placeholders."""

    code: str
    sentences: Mapping[str, str]

    def say(self, key: str, **facts: Any) -> str:
        """The sentence of `key` with its placeholders filled."""
        try:
            sentence = self.sentences[key]
        except KeyError:
            raise SentenceMissing(f"{self.code}.toml has no sentence {key}") from None
        return sentence.format(**facts) if facts else sentence

    def count(self, key: str, number: int, **facts: Any) -> str:
        """The sentence of `key` for `number` things (`key.one` or `key.other`), which is `{number}`."""
        is_one = number == 1 or (number == 0 and self.code == "fr")
        return self.say(f"{key}.{'one' if is_one else 'other'}", number=number, **facts)

    def has(self, key: str) -> bool:
        """Whether there is a sentence for `key`."""
        return key in self.sentences


def flatten(table: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """A nested TOML table as one level of dotted keys."""
    flat: dict[str, str] = {}
    for key, value in table.items():
        if isinstance(value, Mapping):
            flat |= flatten(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = str(value)
    return flat


def read_languages(directory: Path = CATALOGUES) -> dict[str, Language]:
    """Each catalogue of the directory by its language's code."""
    return {
        path.stem: Language(path.stem, flatten(tomllib.loads(path.read_text("utf-8"))))
        for path in sorted(directory.glob("*.toml"))
    }


def placeholders(sentence: str) -> frozenset[str]:
    """The names of a sentence's placeholders."""
    return frozenset(name for _, name, _, _ in string.Formatter().parse(sentence) if name)


def choose_language(available: Mapping[str, Language], wished: str | None, accepted: str) -> Language:
    """The visitor's language: the one wished by cookie, else the best of an Accept-Language header."""
    if wished is not None and wished in available:
        return available[wished]
    for code in _by_preference(accepted):
        if code in available:
            return available[code]
    return available[DEFAULT]


def _by_preference(accepted: str) -> list[str]:
    weighted: list[tuple[float, str]] = []
    for part in accepted.split(","):
        tag, _, parameters = part.strip().partition(";")
        _, _, quality = parameters.partition("q=")
        try:
            weight = float(quality) if quality else 1.0
        except ValueError:
            continue
        if weight > 0 and tag:
            weighted.append((weight, tag.split("-")[0].lower()))
    return [code for _, code in sorted(weighted, key=lambda pair: -pair[0])]
