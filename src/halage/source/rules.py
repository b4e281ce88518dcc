"""Which names, refs, addresses and links are accepted; pure."""

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import parse_qs

from halage.source.errors import NameInvalid
from halage.source.model import ABSENT, RefChange

RESERVED_NAMES = frozenset({"api", "console", "git", "halage", "localhost", "static", "www"})
MAX_REF_LENGTH = 200
MAX_CHANGES = 5000

_NAME = re.compile(r"[a-z]([a-z0-9-]{0,61}[a-z0-9])?")
_SHA = re.compile(r"[0-9a-f]{40}")
_ADDRESS = re.compile(r"/(?P<project>[^/]{1,63})\.git/(?P<path>info/refs|git-upload-pack|git-receive-pack)")
_SERVICES = frozenset({"git-upload-pack", "git-receive-pack"})
_FORBIDDEN_CATEGORIES = {
    "Cc": "a control character",
    "Cf": "an invisible character",
    "Cs": "half a character",
    "Co": "a character of private use",
    "Zl": "a line separator",
    "Zp": "a paragraph separator",
}


def validate_name(name: str) -> str:
    """The name, when a project may have it. Raises NameInvalid, which says why not.

    It becomes a label of a host name and a directory, hence the narrow alphabet.
    """
    if not _NAME.fullmatch(name):
        raise NameInvalid(
            f"{name!r} cannot be a project's name: use 1 to 63 lower-case letters, digits and hyphens, "
            "starting with a letter and not ending with a hyphen.",
            name=name,
        )
    if name in RESERVED_NAMES or name.startswith("xn--"):
        raise NameInvalid(f"The name {name!r} is reserved by Halage: choose another.", name=name)
    return name


def is_name(name: str) -> bool:
    """Whether a project may have this name."""
    try:
        validate_name(name)
    except NameInvalid:
        return False
    return True


def is_sha(text: str) -> bool:
    """Whether this is a whole object id."""
    return _SHA.fullmatch(text) is not None


def ref_problem(ref: str) -> str | None:
    """Why Halage cannot use a ref of this name; None when it can.

    Git has its own rules (no blanks, no `..`, no ASCII control characters) that it applies
    before. A leading dash or any letter of any script is fine: names are never put in front of
    a command as options.
    """
    if not ref.startswith(("refs/heads/", "refs/tags/")):
        return "Halage keeps branches (refs/heads/...) and tags (refs/tags/...) only"
    if len(ref) > MAX_REF_LENGTH:
        return f"its name is longer than {MAX_REF_LENGTH} characters"
    for character in ref:
        if character == "\N{REPLACEMENT CHARACTER}":
            return "its name is not UTF-8"
        kind = _FORBIDDEN_CATEGORIES.get(unicodedata.category(character))
        if kind is not None:
            return f"its name holds {kind} (U+{ord(character):04X})"
    return None


def refusals(changes: Sequence[RefChange], *, default_ref: str) -> list[str]:
    """The sentences that tell why a push is refused; empty when it is accepted."""
    if len(changes) > MAX_CHANGES:
        return [f"A push may change {MAX_CHANGES} refs at most: push some branches at a time."]
    sentences = []
    for change in changes:
        is_deletion = change.new == ABSENT
        problem = ref_problem(change.ref)
        if problem is not None and not is_deletion:
            sentences.append(f"{printable(change.ref)} cannot be pushed: {problem}.")
        if is_deletion and change.ref == default_ref:
            sentences.append(f"{change.ref} is the default branch of the project: it cannot be deleted.")
    return sentences


def parse_change(line: str) -> RefChange | None:
    """`OLD NEW REF` as git gives it to its hooks; None when it is something else."""
    old, _, rest = line.partition(" ")
    new, _, ref = rest.partition(" ")
    return RefChange(ref=ref, old=old, new=new) if is_sha(old) and is_sha(new) and ref else None


def missed_changes(refs: Mapping[str, str], seen: Mapping[str, str]) -> list[RefChange]:
    """What was pushed unheard: the refs that are not at the object id that was seen last."""
    changed = [
        RefChange(ref, seen.get(ref, ABSENT), sha)
        for ref, sha in sorted(refs.items())
        if seen.get(ref) != sha and ref_problem(ref) is None
    ]
    deleted = [RefChange(ref, sha, ABSENT) for ref, sha in sorted(seen.items()) if ref not in refs]
    return changed + deleted


def choose_default(refs: Iterable[str]) -> str | None:
    """The branch that a clone should check out when the default one does not exist."""
    branches = sorted(ref for ref in refs if ref.startswith("refs/heads/"))
    for preferred in ("refs/heads/main", "refs/heads/master"):
        if preferred in branches:
            return preferred
    return branches[0] if branches else None


@dataclass(frozen=True, slots=True)
class GitRequest:
    """What one HTTP request asks of a repository."""

    project: str
    path: str
    """Inside the repository, one of three known ones."""
    service: str
    method: str

    @property
    def is_push(self) -> bool:
        """Whether it writes."""
        return self.service == "git-receive-pack"


def parse_request(method: str, path: str, query: str) -> GitRequest | None:
    """What is asked for; None for everything that is not git's smart protocol.

    Only exact addresses pass, so that no path but these three ever reaches git or the disk.
    """
    found = _ADDRESS.fullmatch(path)
    if found is None or not is_name(found["project"]):
        return None
    if found["path"] == "info/refs":
        services = parse_qs(query).get("service", [])
        if method != "GET" or len(services) != 1 or services[0] not in _SERVICES:
            return None
        return GitRequest(found["project"], found["path"], services[0], method)
    if method != "POST":
        return None
    return GitRequest(found["project"], found["path"], found["path"], method)


def printable(text: str) -> str:
    """One line that cannot steer a terminal: what is no visible character becomes `?`."""
    return "".join("?" if unicodedata.category(c) in _FORBIDDEN_CATEGORIES and c != "\t" else c for c in text)
