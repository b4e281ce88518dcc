"""The catalogues are whole and hold every user-facing word; each visitor gets the right one."""

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from halage.access.model import Role
from halage.build.model import JobState
from halage.environment.model import Colour, DeploymentState, InstanceState
from halage.pipeline.model import RunState, StageState
from halage.site.model import Kind
from halage.web.console.console import TEMPLATES
from halage.web.console.language import SentenceMissing, choose_language, placeholders, read_languages

LANGUAGES = read_languages()
EN, FR = LANGUAGES["en"], LANGUAGES["fr"]
PAGES = sorted(TEMPLATES.glob("*.html"))
_SPOKEN = {"title", "aria-label", "placeholder", "alt", "data-done", "data-label"}
_EXPRESSION = re.compile(r"\{\{.*?\}\}|\{#.*?#\}|\{%.*?%\}", re.DOTALL)
_ATTRIBUTES = re.compile(r"\{% block main_attributes %\}(.*?)\{% endblock %\}\n")
_SEPARATORS = re.compile(r"[\s·,:]*")


class Words(HTMLParser):
    """Collects what a visitor reads or hears: text nodes, and the attributes that are spoken."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.found += [value for name, value in attributes if name in _SPOKEN and value]

    def handle_data(self, text: str) -> None:
        self.found.append(text)


def literals(source: str) -> list[str]:
    """The words of a template that do not come from an expression."""
    words = Words()
    words.feed(_EXPRESSION.sub("", _ATTRIBUTES.sub(r"<div \1>", source)))
    return [text.strip() for text in words.found if not _SEPARATORS.fullmatch(text)]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_no_sentence_stands_in_a_template(page: Path) -> None:
    assert literals(page.read_text("utf-8")) == []


def test_a_literal_would_be_found() -> None:
    assert literals("<p>Sign in</p>") == ["Sign in"]
    assert literals('<a title="More">{{ t("a") }}</a>') == ["More"]
    assert literals('<input placeholder="Name" value="x">') == ["Name"]
    assert literals('<p>{{ t("a") }} · {% if x %}{{ y }}{% endif %}</p>') == []


def test_both_languages_have_the_same_sentences_and_placeholders() -> None:
    assert set(EN.sentences) == set(FR.sentences)
    for key, sentence in EN.sentences.items():
        assert placeholders(sentence) == placeholders(FR.sentences[key]), key


def test_no_sentence_was_left_in_english() -> None:
    sentences = {key: sentence for key, sentence in EN.sentences.items() if " " in sentence}
    same = {key for key, sentence in sentences.items() if FR.sentences[key] == sentence}
    hours = {f"range_last.{hours * 3600}" for hours in (1, 3, 12)}
    assert same <= {"environment.type", "deployment.times"} | hours


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_sentence_that_a_template_asks_for_exists(page: Path) -> None:
    source = page.read_text("utf-8")
    for key in re.findall(r"""\bt\(["']([a-z_0-9.]+)["'][,)]""", source):
        assert EN.has(key), key
    for key in re.findall(r"""\bn\(["']([a-z_0-9.]+)["'],""", source):
        assert EN.has(f"{key}.one") and EN.has(f"{key}.other"), key


def test_no_sentence_is_left_over() -> None:
    sources = [*PAGES, *(TEMPLATES.parent / "console").glob("*.py")]
    code = "\n".join(path.read_text("utf-8") for path in sources)
    for key in EN.sentences:
        whole = key.removesuffix(".one").removesuffix(".other")
        parts = whole.split(".")
        # A word of a family is asked for as `"family." ~ state`, with perhaps something after it.
        families = [f'"{parts[0]}." ~', f"'{parts[0]}.' ~"]
        assert f'"{whole}"' in code or f"'{whole}'" in code or any(each in code for each in families), key


def test_every_state_has_its_word() -> None:
    families: list[tuple[str, type[RunState | StageState | Colour | Kind | Role | JobState]]] = [
        ("run_state", RunState),
        ("stage_state", StageState),
        ("colour", Colour),
        ("kind", Kind),
        ("role", Role),
        ("role_text", Role),
    ]
    for family, states in families:
        for state in states:
            assert EN.has(f"{family}.{state}"), (family, state)
    for deployment_state in DeploymentState:
        assert EN.has(f"deployment_state.{deployment_state}")
    for instance_state in InstanceState:
        assert EN.has(f"instance_state.{instance_state}")


@pytest.mark.parametrize(
    ("wished", "accepted", "code"),
    [
        (None, "", "en"),
        (None, "fr", "fr"),
        (None, "fr-CA,fr;q=0.9,en;q=0.8", "fr"),
        (None, "de,en;q=0.5,fr;q=0.7", "fr"),
        (None, "en-GB,en;q=0.9,fr;q=0.8", "en"),
        (None, "fr;q=0", "en"),
        (None, "fr;q=nonsense, *", "en"),
        ("fr", "en", "fr"),
        ("xx", "fr", "fr"),
    ],
)
def test_which_language_a_visitor_gets(wished: str | None, accepted: str, code: str) -> None:
    assert choose_language(LANGUAGES, wished, accepted).code == code


def test_counting() -> None:
    assert [EN.count("account.days", number) for number in (1, 7)] == ["1 day", "7 days"]
    assert [FR.count("tests.failed", number) for number in (0, 2)] == ["0 échoué", "2 échoués"]
    with pytest.raises(SentenceMissing, match=r"en\.toml has no sentence nothing"):
        EN.say("nothing")
