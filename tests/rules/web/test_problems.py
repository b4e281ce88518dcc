"""The one table of problems: every category has its answer, and each answer is documented."""

import json
from pathlib import Path
from typing import Any

import pytest

from halage.access.errors import BadCredential, Forbidden, TooManyAttempts
from halage.base.errors import Conflict, HalageError, Invalid, NotAllowed, NotFound, Unavailable
from halage.web.problems import (
    PROBLEM_TYPES,
    NotSignedIn,
    RequestTooLarge,
    answer_error,
    problem_body,
    problem_type,
    render_reference,
)

REFERENCE = Path(__file__).parents[3] / "docs" / "reference" / "errors.md"
WRITE_ANEW = """write it anew: python -c 'from halage.web.problems import render_reference as text; \
print(text(), end="")' > docs/reference/errors.md"""


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (Invalid(), 422),
        (NotFound(), 404),
        (Conflict(), 409),
        (NotAllowed(), 403),
        (Forbidden(), 403),
        (Unavailable(), 503),
        (BadCredential(), 401),
        (NotSignedIn(), 401),
        (TooManyAttempts(retry_after_s=12.6), 429),
        (RequestTooLarge(), 413),
        (HalageError(), 500),
    ],
)
def test_each_category_has_its_status(error: HalageError, status: int) -> None:
    assert problem_type(error).status == status
    assert answer_error(error, "/x").status_code == status


def test_the_reference_is_up_to_date() -> None:
    assert REFERENCE.read_text() == render_reference(), WRITE_ANEW


def test_every_type_leads_to_a_heading_of_the_reference() -> None:
    headings = {line.removeprefix("## ") for line in REFERENCE.read_text().splitlines()}
    for type_ in PROBLEM_TYPES:
        assert type_.uri.rpartition("#")[2] in headings


def test_a_problem_document_has_the_standard_members_and_the_facts() -> None:
    error = NotFound("There is no run 7.", run=7, status="not replaced", tags=("a", Path("b")))
    body: dict[str, Any] = json.loads(bytes(answer_error(error, "/api/v1/runs/7").body))
    assert body == {
        "type": "/api/v1/problems#not-found",
        "title": "There is no such thing",
        "status": 404,
        "detail": "There is no run 7.",
        "instance": "/api/v1/runs/7",
        "run": 7,
        "tags": ["a", "b"],
    }


def test_answers_say_what_a_client_needs_to_go_on() -> None:
    assert answer_error(TooManyAttempts(retry_after_s=12.6), "/x").headers["retry-after"] == "13"
    assert answer_error(NotSignedIn(), "/x").headers["www-authenticate"] == 'Bearer realm="Halage"'


def test_a_lone_surrogate_is_no_obstacle() -> None:
    assert b"?" in bytes(answer_error(Invalid("\ud800"), "/x").body)
    assert problem_body(PROBLEM_TYPES[0], "", "", {"type": "evil"})["type"].startswith("/api/")
