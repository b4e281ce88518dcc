"""Names, refs, addresses and what is printed."""

import pytest

from halage.source.errors import NameInvalid
from halage.source.http import parse_basic
from halage.source.model import ABSENT, GitTree, Push, RefChange
from halage.source.rules import (
    MAX_CHANGES,
    GitRequest,
    choose_default,
    missed_changes,
    parse_change,
    parse_request,
    printable,
    ref_problem,
    refusals,
    validate_name,
)

A, B = "a" * 40, "b" * 40
MAIN = "refs/heads/main"


@pytest.mark.parametrize("name", ["a", "boutique", "site-2", "x" * 63])
def test_names_that_a_project_may_have(name: str) -> None:
    assert validate_name(name) == name


@pytest.mark.parametrize(
    "name",
    [
        "",
        "-a",
        "a-",
        "2a",
        "A",
        "a_b",
        "a.b",
        "..",
        "a/b",
        "é",
        "a\n",
        "x" * 64,
        "git",
        "www",
        "xn--abc",
        "a b",
    ],
)
def test_names_that_it_may_not_have(name: str) -> None:
    with pytest.raises(NameInvalid):
        validate_name(name)


@pytest.mark.parametrize(
    "ref", [MAIN, "refs/tags/v1", "refs/heads/-x", "refs/heads/café", "refs/heads/機能/一", "refs/heads/🚀"]
)
def test_refs_that_are_fine(ref: str) -> None:
    assert ref_problem(ref) is None


@pytest.mark.parametrize(
    ("ref", "problem"),
    [
        ("refs/notes/x", "only"),
        ("HEAD", "only"),
        ("refs/heads/a\x1bb", "control character (U+001B)"),
        ("refs/heads/a\u202eb", "invisible character (U+202E)"),
        ("refs/heads/a\u2028b", "line separator"),
        ("refs/heads/a\ufffdb", "not UTF-8"),
        ("refs/heads/" + "x" * 200, "longer"),
    ],
)
def test_refs_that_are_refused(ref: str, problem: str) -> None:
    assert problem in (ref_problem(ref) or "")


def test_a_push_is_refused_with_a_sentence_for_each_ref() -> None:
    changes = [RefChange(MAIN, A, B), RefChange("refs/x", A, B), RefChange("refs/heads/\x9b", A, B)]
    sentences = refusals(changes, default_ref=MAIN)
    assert len(sentences) == 2
    assert "refs/x" in sentences[0]
    assert "\x9b" not in sentences[1]


def test_the_default_branch_cannot_be_deleted_but_others_can() -> None:
    assert refusals([RefChange(MAIN, A, ABSENT)], default_ref=MAIN)
    assert not refusals([RefChange("refs/heads/x", A, ABSENT)], default_ref=MAIN)
    assert not refusals([RefChange("refs/notes/x", A, ABSENT)], default_ref=MAIN)


def test_a_push_of_too_many_refs_is_refused() -> None:
    changes = [RefChange(f"refs/heads/{n}", ABSENT, A) for n in range(MAX_CHANGES + 1)]
    assert len(refusals(changes, default_ref=MAIN)) == 1
    assert not refusals(changes[1:], default_ref=MAIN)


def test_a_line_of_a_hook_is_read() -> None:
    assert parse_change(f"{A} {B} refs/heads/a b") == RefChange("refs/heads/a b", A, B)
    for line in ("", "x", f"{A} {B}", f"{A} {B} ", f"{A[:-1]} {B} x"):
        assert parse_change(line) is None


def test_missed_changes_are_new_moved_and_deleted_refs() -> None:
    refs = {MAIN: B, "refs/heads/new": A, "refs/heads/same": A, "refs/heads/\x9b": A}
    seen = {MAIN: A, "refs/heads/gone": B, "refs/heads/same": A}
    assert missed_changes(refs, seen) == [
        RefChange(MAIN, A, B),
        RefChange("refs/heads/new", ABSENT, A),
        RefChange("refs/heads/gone", B, ABSENT),
    ]


def test_the_branch_that_a_clone_checks_out() -> None:
    assert choose_default(["refs/heads/z", "refs/heads/master", "refs/tags/a"]) == "refs/heads/master"
    assert choose_default(["refs/heads/master", MAIN]) == MAIN
    assert choose_default(["refs/heads/z", "refs/heads/b"]) == "refs/heads/b"
    assert choose_default(["refs/tags/a"]) is None


@pytest.mark.parametrize(
    ("method", "path", "query", "service"),
    [
        ("GET", "/a.git/info/refs", "service=git-upload-pack", "git-upload-pack"),
        ("GET", "/a.git/info/refs", "service=git-receive-pack", "git-receive-pack"),
        ("POST", "/a.git/git-upload-pack", "", "git-upload-pack"),
        ("POST", "/a.git/git-receive-pack", "", "git-receive-pack"),
    ],
)
def test_addresses_of_git(method: str, path: str, query: str, service: str) -> None:
    request = parse_request(method, path, query)
    assert request == GitRequest("a", path.removeprefix("/a.git/"), service, method)
    assert request.is_push == (service == "git-receive-pack")


@pytest.mark.parametrize(
    ("method", "path", "query"),
    [
        ("GET", "/a.git/info/refs", ""),
        ("GET", "/a.git/info/refs", "service=git-upload-archive"),
        ("GET", "/a.git/info/refs", "service=git-upload-pack&service=git-receive-pack"),
        ("POST", "/a.git/info/refs", "service=git-upload-pack"),
        ("GET", "/a.git/git-upload-pack", ""),
        ("GET", "/a.git/HEAD", ""),
        ("GET", "/a.git/config", ""),
        ("GET", "/a.git/objects/info/packs", ""),
        ("GET", "/../a.git/info/refs", "service=git-upload-pack"),
        ("GET", "/a.git/../b.git/info/refs", "service=git-upload-pack"),
        ("GET", "/...git/info/refs", "service=git-upload-pack"),
        ("GET", "/..%2fa.git/info/refs", "service=git-upload-pack"),
        ("GET", "//a.git/info/refs", "service=git-upload-pack"),
        ("GET", "/a.git/info/refs\n", "service=git-upload-pack"),
        ("GET", "/.new-abc.git/info/refs", "service=git-upload-pack"),
    ],
)
def test_everything_else_is_nothing(method: str, path: str, query: str) -> None:
    assert parse_request(method, path, query) is None


def test_what_is_printed_cannot_steer_a_terminal() -> None:
    assert printable("a\x1b[31mb\u202e\tc é\n") == "a?[31mb?\tc é?"


@pytest.mark.parametrize(
    ("header", "credential"),
    [
        ("Basic YWRhOnM6dA==", ("ada", "s:t")),
        ("basic YWRhOg==", ("ada", "")),
        ("Bearer YWRhOnM6dA==", None),
        ("Basic YWRh", None),
        ("Basic !!!!", None),
        ("Basic /////w==", None),
        ("", None),
    ],
)
def test_a_basic_header_is_read(header: str, credential: tuple[str, str] | None) -> None:
    assert parse_basic(header) == credential


def test_a_push_knows_its_branch() -> None:
    assert Push("a", "refs/heads/feature/x", A, B, "ada").branch == "feature/x"
    assert Push("a", "refs/tags/x", A, B, "ada").branch is None
    assert Push("a", MAIN, A, ABSENT, "ada").is_deletion


def test_a_tree_tells_a_file_that_is_missing_from_one_that_was_not_loaded() -> None:
    tree = GitTree(A, frozenset({"a", "b"}), {"a": "x", "c": None})
    assert tree.read("a") == "x"
    assert tree.read("c") is None
    assert tree.read("d/e") is None
    with pytest.raises(KeyError):
        tree.read("b")
