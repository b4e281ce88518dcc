"""Problem details (RFC 9457): one table from what went wrong to what a client is answered."""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from halage.access.errors import BadCredential, TooManyAttempts
from halage.base.errors import Conflict, HalageError, Invalid, NotAllowed, NotFound, Unavailable

MEDIA_TYPE = "application/problem+json"
REFERENCE_PATH = "/api/v1/problems"


@dataclass(frozen=True, slots=True)
class ProblemType:
    """One kind of problem: its anchor in docs/reference/errors.md, HTTP status, title and meaning."""

    slug: str
    status: int
    title: str
    meaning: str

    @property
    def uri(self) -> str:
        """The `type` member: resolves, on this very server, to its paragraph of the reference."""
        return f"{REFERENCE_PATH}#{self.slug}"


MALFORMED = ProblemType(
    "malformed",
    400,
    "The request cannot be read",
    "The body is not JSON, or not text in UTF-8, or a header is broken. Send what the OpenAPI document says.",
)
NOT_SIGNED_IN = ProblemType(
    "not-signed-in",
    401,
    "You are not signed in",
    "No credential came with the request, or it is wrong, expired or revoked. Send "
    "`Authorization: Bearer TOKEN`; `halage token create` makes a token, `halage configure` keeps it.",
)
NOT_ALLOWED = ProblemType(
    "not-allowed",
    403,
    "You are not allowed to do this",
    "You are signed in, and see the thing, but your role does not allow this action; `detail` names the "
    "role that does. For a browser's session it may be that the `X-CSRF-Token` header is missing.",
)
NOT_FOUND = ProblemType(
    "not-found",
    404,
    "There is no such thing",
    "There is no such thing, or you may not see it: the answer is the same for both, on purpose.",
)
WRONG_METHOD = ProblemType(
    "wrong-method",
    405,
    "This address does not take that method",
    "The address exists but not for this HTTP method; the `Allow` header lists those that it takes.",
)
CONFLICT = ProblemType(
    "conflict",
    409,
    "The state of the thing does not allow this now",
    "What was asked for contradicts the state of the thing: a name that is taken, a run that has ended, an "
    "approval that nobody waits for. Look at its state, then ask again.",
)
TOO_LARGE = ProblemType(
    "too-large",
    413,
    "The request is too large",
    "The body of an API request may have 1 MiB. (A git push has no such limit.)",
)
INVALID = ProblemType(
    "invalid",
    422,
    "The input cannot be used as it is",
    "A value is missing, of the wrong kind, or not allowed. `errors` lists each one: `location` says where, "
    "`found` what came, `allowed` what may come.",
)
TOO_MANY_ATTEMPTS = ProblemType(
    "too-many-attempts",
    429,
    "Too many attempts",
    "Too many wrong passwords for this person or from this address. Wait for the seconds in `Retry-After`.",
)
INTERNAL = ProblemType(
    "internal",
    500,
    "Halage made a mistake",
    "Something went wrong that Halage did not expect. The server's log has the whole story under the "
    "`reference` of the answer; nothing of it is shown to clients.",
)
UNAVAILABLE = ProblemType(
    "unavailable",
    503,
    "Halage cannot do this at the moment",
    "A part that Halage needs is not there at the moment (a full disk, a stopping server). Nothing was "
    "changed; `detail` says what to do. Try again.",
)

PROBLEM_TYPES = (
    MALFORMED,
    NOT_SIGNED_IN,
    NOT_ALLOWED,
    NOT_FOUND,
    WRONG_METHOD,
    CONFLICT,
    TOO_LARGE,
    INVALID,
    TOO_MANY_ATTEMPTS,
    INTERNAL,
    UNAVAILABLE,
)

_BY_STATUS = {type_.status: type_ for type_ in PROBLEM_TYPES}


class NotSignedIn(HalageError):
    """You are not signed in: send `Authorization: Bearer TOKEN` (see `halage token create`)."""


class RequestTooLarge(HalageError):
    """The body of an API request may have 1 MiB."""


_CATEGORIES: tuple[tuple[type[HalageError], ProblemType], ...] = (
    (NotSignedIn, NOT_SIGNED_IN),
    (BadCredential, NOT_SIGNED_IN),
    (TooManyAttempts, TOO_MANY_ATTEMPTS),
    (RequestTooLarge, TOO_LARGE),
    (Invalid, INVALID),
    (NotFound, NOT_FOUND),
    (Conflict, CONFLICT),
    (NotAllowed, NOT_ALLOWED),
    (Unavailable, UNAVAILABLE),
)
"""The one table: the first class that an error is an instance of decides; else it is `internal`."""


def problem_type(error: HalageError) -> ProblemType:
    """The kind of problem that an error of a domain is answered with."""
    return next((type_ for category, type_ in _CATEGORIES if isinstance(error, category)), INTERNAL)


def problem_body(
    type_: ProblemType, detail: str, instance: str, extensions: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """The members of a problem document; extension members never replace the standard ones."""
    standard = {
        "type": type_.uri,
        "title": type_.title,
        "status": type_.status,
        "detail": detail,
        "instance": instance,
    }
    return {**{name: _plain(value) for name, value in (extensions or {}).items()}, **standard}


def problem_response(
    type_: ProblemType,
    detail: str,
    instance: str,
    extensions: Mapping[str, Any] | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """A problem document as an answer."""
    content = json.dumps(problem_body(type_, detail, instance, extensions), ensure_ascii=False)
    # A lone surrogate (from a request's JSON) cannot be encoded: it is shown as `?`.
    body = content.encode("utf-8", errors="replace")
    return Response(body, type_.status, dict(headers or {}), MEDIA_TYPE)


def answer_error(error: HalageError, instance: str) -> Response:
    """The answer to an error of a domain: its message as `detail`, its facts as extension members."""
    type_ = problem_type(error)
    headers = {}
    if type_ is NOT_SIGNED_IN:
        headers["WWW-Authenticate"] = 'Bearer realm="Halage"'
    if (wait_s := error.facts.get("retry_after_s")) is not None:
        headers["Retry-After"] = str(max(1, round(wait_s)))
    return problem_response(type_, error.message, instance, error.facts, headers)


async def on_halage_error(request: Request, error: Exception) -> Response:
    """Exception handler for errors of the domains."""
    assert isinstance(error, HalageError)
    if problem_type(error) is INTERNAL:
        raise error  # the envelope logs it and answers with a reference
    return answer_error(error, request.url.path)


async def on_http_error(request: Request, error: Exception) -> Response:
    """Exception handler for what the framework refuses: unknown address, method, unreadable body."""
    assert isinstance(error, HTTPException)
    type_ = _BY_STATUS.get(error.status_code, MALFORMED if error.status_code < 500 else INTERNAL)
    detail = type_.meaning
    headers = dict(error.headers or {})
    if type_ is NOT_FOUND:
        detail = f"There is nothing at {request.url.path}; GET /api/v1/openapi.json lists what there is."
    if type_ is WRONG_METHOD:
        # The framework names the methods of the first route with this address only.
        methods = _methods_at(request.app.openapi()["paths"], request.url.path)
        headers["Allow"] = ", ".join(methods) or headers.get("Allow", "")
    return problem_response(type_, detail, request.url.path, headers=headers)


async def on_invalid_request(request: Request, error: Exception) -> Response:
    """Exception handler for a request that is not what the OpenAPI document says."""
    assert isinstance(error, RequestValidationError)
    entries = error.errors()
    if any(entry["type"] == "json_invalid" for entry in entries):
        reason = entries[0].get("ctx", {}).get("error", "")
        detail = f"The body is not JSON: {reason}. {MALFORMED.meaning}"
        return problem_response(MALFORMED, detail, request.url.path)
    problems = [_validation_problem(entry) for entry in entries]
    detail = "; ".join(f"{p['location']}: {p['allowed']}" for p in problems)
    return problem_response(INVALID, detail, request.url.path, {"errors": problems})


def render_reference() -> str:
    """docs/reference/errors.md: a paragraph for each kind of problem."""
    lines = [
        "# Errors of the API",
        "",
        "Every answer that is not a success is a problem document (RFC 9457,",
        "`application/problem+json`): `type` (one of the kinds below), `title`, `status`, `detail` (what",
        "happened, to which thing, and what to do now), `instance` (the address asked for). Facts that a",
        "program may want come as further members. The command line turns them into its exit codes: 2 for",
        "`invalid` and `malformed`, 3 for `not-signed-in` and `not-allowed`, 4 for `not-found`, 1 for the",
        "others.",
        "",
    ]
    for type_ in sorted(PROBLEM_TYPES, key=lambda type_: type_.status):
        lines += [f"## {type_.slug}", "", f"Status {type_.status}: {type_.title}.", "", type_.meaning, ""]
    return "\n".join(lines)


def _methods_at(paths: Mapping[str, Mapping[str, Any]], address: str) -> list[str]:
    """The methods that the OpenAPI document has for an address."""
    found: set[str] = set()
    for template, operations in paths.items():
        pattern = "[^/]+".join(re.escape(part) for part in re.split(r"\{[^}]+\}", template))
        if re.fullmatch(pattern, address):
            found |= {method.upper() for method in operations}
    return sorted(found)


def _validation_problem(entry: Mapping[str, Any]) -> dict[str, Any]:
    location = ".".join(str(part) for part in entry["loc"])
    problem = {"location": location, "allowed": str(entry["msg"])}
    if entry["type"] != "missing" and not _may_be_secret(entry["loc"]):
        problem["found"] = _short(entry.get("input"))
    return problem


_SECRET_PARTS = frozenset(
    # Actions hold addresses; a certificate may have its key at its end.
    {"password", "value", "secret", "on_alarm", "on_ok", "on_insufficient_data", "key", "certificate"}
)


def _may_be_secret(location: Sequence[Any]) -> bool:
    """Whether what was found there must not be repeated: a body may hold passwords and secret values."""
    return len(location) < 2 or not _SECRET_PARTS.isdisjoint(location)


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 100 else text[:100] + "…"


def _plain(value: Any) -> Any:
    if value is None or isinstance(value, str | int | float | bool):
        return value
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, Iterable):
        return [_plain(item) for item in value]
    if hasattr(value, "__dataclass_fields__"):
        return {name: _plain(getattr(value, name)) for name in value.__dataclass_fields__}
    return str(value)
