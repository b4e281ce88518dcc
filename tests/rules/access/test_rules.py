"""Every action, for every kind of person: the table below is the promise, written out by hand."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from halage.access.errors import Forbidden
from halage.access.model import SYSTEM, Principal, Role, Via
from halage.access.rules import ACTIONS, PROJECT_ACTIONS, check, is_allowed, visible_projects
from halage.base.errors import NotAllowed

ADMINISTRATOR = Principal("admin", True, {}, "session")
PROJECT_ADMIN = Principal("lea", False, {"shop": Role.ADMIN}, "session")
DEVELOPER = Principal("dev", False, {"shop": Role.DEVELOPER}, "session")
VIEWER = Principal("vic", False, {"shop": Role.VIEWER}, "session")
STRANGER = Principal("sam", False, {"blog": Role.ADMIN}, "session")
PEOPLE = (ADMINISTRATOR, PROJECT_ADMIN, DEVELOPER, VIEWER, STRANGER)

SHOP = "project/shop"
PROD = "project/shop/environment/prod"
VIC = "user/vic"

# action, resource, then: administrator, project admin, developer, viewer, member of another project
TABLE = [
    ("project:Show", SHOP, "yes yes yes yes no"),
    ("pipeline:Show", SHOP, "yes yes yes yes no"),
    ("environment:Show", PROD, "yes yes yes yes no"),
    ("build:Show", SHOP, "yes yes yes yes no"),
    ("source:Pull", SHOP, "yes yes yes yes no"),
    ("journal:Show", SHOP, "yes yes yes yes no"),
    ("source:Push", SHOP, "yes yes yes no no"),
    ("pipeline:Approve", SHOP, "yes yes yes no no"),
    ("pipeline:Reject", SHOP, "yes yes yes no no"),
    ("pipeline:Cancel", SHOP, "yes yes yes no no"),
    ("pipeline:Retry", SHOP, "yes yes yes no no"),
    ("environment:Deploy", PROD, "yes yes yes no no"),
    ("environment:Rollback", PROD, "yes yes yes no no"),
    ("environment:Restart", PROD, "yes yes yes no no"),
    ("environment:SetVariable", PROD, "yes yes yes no no"),
    ("environment:Scale", PROD, "yes yes yes no no"),
    ("environment:TakeOut", PROD, "yes yes yes no no"),
    ("environment:PutBack", PROD, "yes yes yes no no"),
    ("environment:Configure", PROD, "yes yes yes no no"),
    ("environment:Create", PROD, "yes yes yes no no"),
    ("environment:Terminate", PROD, "yes yes no no no"),
    ("environment:SetCertificate", PROD, "yes yes yes no no"),
    ("environment:Execute", PROD, "yes yes yes no no"),
    ("monitor:Show", SHOP, "yes yes yes yes no"),
    ("monitor:ReadLogs", SHOP, "yes yes yes yes no"),
    ("monitor:PutMetric", PROD, "yes yes yes no no"),
    ("monitor:SetAlarm", SHOP, "yes yes yes no no"),
    ("monitor:SetDashboard", SHOP, "yes yes yes no no"),
    ("monitor:SetLogFilter", SHOP, "yes yes yes no no"),
    ("project:Delete", SHOP, "yes yes no no no"),
    ("project:SetMember", SHOP, "yes yes no no no"),
    ("access:ManageOwn", VIC, "yes no no yes no"),
    ("project:List", "server", "yes yes yes yes yes"),
    ("monitor:ShowMachine", "server", "yes yes yes yes yes"),
    ("server:ShowAuthority", "server", "yes yes yes yes yes"),
    ("project:Create", "server", "yes no no no no"),
    ("access:ManageUsers", "server", "yes no no no no"),
    ("server:Show", "server", "yes no no no no"),
    ("server:SetCertificate", "server", "yes no no no no"),
    ("monitor:SetOutlet", "server", "yes no no no no"),
]


def test_the_table_speaks_of_every_action() -> None:
    assert {action for action, _, _ in TABLE} == ACTIONS


@pytest.mark.parametrize(("action", "resource", "answers"), TABLE, ids=[row[0] for row in TABLE])
def test_who_may_do_what(action: str, resource: str, answers: str) -> None:
    allowed = ["yes" if is_allowed(person, action, resource) else "no" for person in PEOPLE]
    assert allowed == answers.split()


def test_the_reference_has_the_same_table() -> None:
    text = (Path(__file__).parents[3] / "docs" / "reference" / "access.md").read_text()
    rows = [line for line in text.splitlines() if line.startswith("| `")]
    promised = [
        f"| `{action}` | {' | '.join(answer.replace('no', '') for answer in answers.split()[:4])} |"
        for action, _, answers in TABLE
        if action in PROJECT_ACTIONS
    ]
    assert [" ".join(row.split()) for row in rows] == [" ".join(row.split()) for row in promised]
    for action in ACTIONS:
        assert f"`{action}`" in text


@pytest.mark.parametrize(
    ("action", "resource"),
    [
        ("journal:Show", "server"),
        ("project:Create", "project/shop"),
        ("access:ManageUsers", "user/vic"),
        ("access:ManageUsers", "user/lea"),
        ("project:Show", "server"),
        ("project:Show", "user/lea"),
        ("access:ManageOwn", "server"),
        ("access:ManageOwn", "project/lea"),
        ("project:List", "project/shop"),
    ],
)
def test_a_project_admin_is_no_administrator_of_the_server(action: str, resource: str) -> None:
    assert not is_allowed(PROJECT_ADMIN, action, resource)
    assert is_allowed(ADMINISTRATOR, action, resource)


@pytest.mark.parametrize("action", sorted(ACTIONS))
def test_a_git_credential_opens_git_alone_even_an_administrators(action: str) -> None:
    by_git = Principal("admin", True, {"shop": Role.ADMIN}, "git")
    resource = "user/admin" if action == "access:ManageOwn" else SHOP
    assert is_allowed(by_git, action, resource) == (action in ("source:Pull", "source:Push"))


@pytest.mark.parametrize(
    "resource",
    ["", "/", "shop", "project", "project/", "project//environment/prod", "project/shop/", "server/",
     "project/shop/environment/", "project/shop/environment/prod/x", "user/", "projects/shop",
     "blog/../project/shop", "project/shop/../blog", " project/shop", "Project/shop"],
)  # fmt: skip
def test_what_cannot_be_read_as_a_resource_is_nobodys(resource: str) -> None:
    for person in (*PEOPLE, SYSTEM):
        assert not is_allowed(person, "project:Show", resource)


def test_an_action_that_does_not_exist_is_a_mistake_of_ours_and_not_a_no() -> None:
    for person in (ADMINISTRATOR, VIEWER):
        with pytest.raises(ValueError, match="environment:Rolback"):
            is_allowed(person, "environment:Rolback", PROD)


def test_a_refusal_says_who_what_which_and_what_it_takes() -> None:
    with pytest.raises(NotAllowed) as caught:
        check(VIEWER, "source:Push", SHOP)
    message = caught.value.message
    for part in ("vic", "source:Push", "project/shop", "developer"):
        assert part in message
    assert isinstance(caught.value, Forbidden)
    assert caught.value.facts["user"] == "vic"


def test_a_refusal_says_that_a_git_credential_is_not_enough() -> None:
    with pytest.raises(NotAllowed, match="API token"):
        check(Principal("admin", True, {}, "git"), "project:Show", SHOP)


def test_a_refusal_tells_a_stranger_nothing_of_whether_the_project_exists() -> None:
    messages = []
    for project in ("shop", "nope"):
        with pytest.raises(NotAllowed) as caught:
            check(STRANGER, "project:Show", f"project/{project}")
        messages.append(caught.value.message.replace(project, "NAME"))
    assert messages[0] == messages[1]


def test_check_lets_through_what_is_allowed() -> None:
    check(DEVELOPER, "source:Push", SHOP)
    check(SYSTEM, "environment:Deploy", PROD)


def test_one_sees_ones_own_projects_and_an_administrator_all() -> None:
    assert visible_projects(VIEWER) == frozenset({"shop"})
    assert visible_projects(ADMINISTRATOR) is None
    assert visible_projects(Principal("new", False, {}, "session")) == frozenset()
    assert visible_projects(Principal("admin", True, {}, "git")) == frozenset()


names = st.text("abcdefgh-", min_size=1, max_size=8)
roles = st.dictionaries(names, st.sampled_from(Role), max_size=4)


@given(st.sampled_from(sorted(ACTIONS)), names, roles, st.sampled_from(["session", "token", "git"]))
def test_a_higher_role_never_may_less(action: str, project: str, held: dict[str, Role], via: Via) -> None:
    resource = f"project/{project}"
    answers = [
        is_allowed(Principal("x", False, {**held, project: role}, via), action, resource)
        for role in (Role.VIEWER, Role.DEVELOPER, Role.ADMIN)
    ]
    assert answers == sorted(answers)


@given(st.sampled_from(sorted(ACTIONS)), names, roles)
def test_a_role_in_one_project_opens_no_other(action: str, project: str, held: dict[str, Role]) -> None:
    others = {name: Role.ADMIN for name in held if name != project}
    person = Principal("x", False, others, "session")
    for resource in (f"project/{project}", f"project/{project}/environment/prod"):
        assert not is_allowed(person, action, resource)


@given(st.sampled_from(sorted(ACTIONS)), st.text(max_size=30), roles)
def test_any_text_as_a_resource_is_answered(action: str, resource: str, held: dict[str, Role]) -> None:
    is_allowed(Principal("x", False, held, "token"), action, resource)
