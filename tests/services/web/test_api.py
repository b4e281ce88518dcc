"""The API's routes: who gets in, what they see, and how refusals look."""

from collections.abc import AsyncIterator

import pytest
import structlog

from halage.base.database import Transaction
from tests.services.web.world import World, a_run

OPEN = {("get", "/api/v1/health"), ("post", "/api/v1/login")}
EXAMPLES = {
    "{project}": "shop",
    "{environment}": "prod",
    "{run}": "1",
    "{job}": "1",
    "{deployment}": "1",
    "{instance}": "i-1",
    "{execution}": "x-1",
    "{user}": "dev",
    "{variable}": "KEY",
    "{token_id}": "tok-1",
    "{template}": "big",
}
BODIES = {
    "/scale": {"instances": 2},
    "/suspended": {"suspended": []},
    "/protection": {"is_protected": True},
    "/simulate": {"capacity": 10},
    "/exec": {"command": ["ls"]},
    "/certificate": {"origin": "self_signed"},
    "/environments": {"name": "another"},
    "/settings": {"set": {}},
    "/settings/template": {"name": "big"},
}
"""By the end of the path, where a body is needed."""


def _address(template: str) -> str:
    for name, value in EXAMPLES.items():
        template = template.replace(name, value)
    return template


async def test_everything_but_health_and_login_needs_authentication(world: World) -> None:
    async with world.client() as client:
        for path, operations in world.app.openapi()["paths"].items():
            for method in operations:
                if (method, path) in OPEN:
                    continue
                answer = await client.request(method, _address(path), json={"nonsense": 1})
                assert answer.status_code == 401, (method, path, answer.text)
                assert answer.headers["content-type"] == "application/problem+json"
                assert answer.headers["www-authenticate"].startswith("Bearer")


async def test_no_route_lets_in_someone_without_a_role(world: World) -> None:
    """Whatever names a project answers 404 to a stranger, whether the project exists or not."""
    access = world.services.access
    await access.create_user("stranger", actor="admin")
    _, world.tokens["stranger"] = await access.create_token("stranger", "test", actor="admin")
    async with world.client("stranger") as client:
        for path, operations in world.app.openapi()["paths"].items():
            named = any(part in path for part in ("{project}", "{run}", "{job}", "{deployment}"))
            for method in operations if named else ():
                member = {"role": "viewer"} if "members" in path else {"value": "x"}
                body = next((body for end, body in BODIES.items() if path.endswith(end)), None)
                body = body or (member if method == "put" else None)
                answer = await client.request(method, _address(path), json=body)
                assert answer.status_code == 404, (method, path, answer.text)
                there = answer.json()
                absent = await client.request(method, _absent(path), json=body)
                assert _anonymous(absent.json()) == _anonymous(there), (method, path)


def _absent(template: str) -> str:
    for name, value in {"{project}": "nosuch", "{run}": "99", "{job}": "99", "{deployment}": "99"}.items():
        template = template.replace(name, value)
    return _address(template)


def _anonymous(problem: dict[str, object]) -> str:
    """The problem without the names that were asked for."""
    text = str({key: value for key, value in problem.items() if key != "instance"})
    for word in ("nosuch", "shop", "99", "1"):
        text = text.replace(word, "X")
    return text


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("post", "/projects/shop/approve", None),
        ("post", "/runs/1/cancel", None),
        ("post", "/runs/1/retry", None),
        ("post", "/projects/shop/environments/prod/restart", None),
        ("post", "/projects/shop/environments/prod/exec", {"command": ["ls"]}),
        ("post", "/projects/shop/environments/prod/rollback", None),
        ("post", "/projects/shop/environments/prod/swap", None),
        ("post", "/projects/shop/environments/prod/scale", {"instances": 3}),
        ("put", "/projects/shop/environments/prod/scaling/suspended", {"suspended": ["in"]}),
        ("put", "/projects/shop/environments/prod/instances/i-1/protection", {"is_protected": True}),
        ("post", "/projects/shop/environments/prod/instances/i-1/take-out", None),
        ("post", "/projects/shop/environments/prod/instances/i-1/put-back", None),
        ("put", "/projects/shop/environments/prod/variables/KEY", {"value": "x"}),
        ("delete", "/projects/shop", None),
        ("put", "/projects/shop/members/dev", {"role": "admin"}),
        ("post", "/projects", {"name": "new"}),
        ("get", "/users", None),
        ("get", "/tokens?user=dev", None),
    ],
)
async def test_a_viewer_changes_nothing(world: World, method: str, path: str, body: object) -> None:
    async with world.client("viewer") as client:
        answer = await client.request(method, f"/api/v1{path}", json=body)
    assert answer.status_code == 403
    problem = answer.json()
    assert problem["type"] == "/api/v1/problems#not-allowed"
    assert "viewer may not do" in problem["detail"]
    assert problem["needed"]
    assert world.pipeline.calls == []
    assert world.environments.calls == []


async def test_the_plan_of_a_deployment_says_what_it_would_do(world: World) -> None:
    address = "/api/v1/projects/shop/environments/prod/deployments/plan"
    async with world.client("viewer") as client:
        plan = (await client.post(address)).json()
        refused = (await client.post(address, json={"policy": "rolling"})).json()
        wrong = await client.post(address, json={"policy": "slowly"})
        report = (await client.get("/api/v1/deployments/1/report")).json()
    assert (plan["policy"], plan["rehearsal"]["fewest_serving"], plan["refusals"]) == ("blue_green", 4, [])
    assert refused["rehearsal"] is None and "stops 1 of 1" in refused["refusals"][0]
    assert wrong.status_code == 422
    assert (report["before"]["requests"], report["after"]) == (1200, None)


async def test_what_a_project_is_comes_as_json(world: World) -> None:
    async with world.client("viewer") as client:
        answer = await client.get("/api/v1/projects/shop")
    overview = answer.json()
    assert overview["project"]["created_at"] == "2023-11-14T22:13:20.250000Z"
    assert overview["environments"][0]["instances"][0]["state"] == "serving"
    assert overview["environments"][0]["variables"][0]["value"] is None
    assert overview["runs"][0]["stages"][1]["job_id"] == 1
    assert overview["members"] == {"ada": "admin"}


async def test_projects_are_listed_as_far_as_they_may_be_seen(world: World) -> None:
    async with world.client("viewer") as client:
        seen = [project["name"] for project in (await client.get("/api/v1/projects")).json()]
    async with world.client("admin") as client:
        everything = [project["name"] for project in (await client.get("/api/v1/projects")).json()]
    assert seen == ["shop"]
    assert everything == ["shop", "hidden"]


async def test_approving_needs_a_run_that_waits(world: World) -> None:
    async with world.client("dev") as client:
        answer = await client.post("/api/v1/projects/shop/approve")
        assert answer.status_code == 409
        assert "halage run list shop" in answer.json()["detail"]
        world.pipeline.waiting = a_run()
        answer = await client.post("/api/v1/projects/shop/approve", json={"comment": "fine"})
    assert answer.status_code == 200
    assert world.pipeline.calls == [("approve", 1, "fine", "dev")]


async def test_a_token_is_shown_once_and_ends_when_revoked(world: World) -> None:
    async with world.client("dev") as client:
        made = (await client.post("/api/v1/tokens", json={"name": "laptop"})).json()
        listed = (await client.get("/api/v1/tokens")).text
        assert made["token"] not in listed
        bearer = {"Authorization": f"Bearer {made['token']}"}
        assert (await client.get("/api/v1/me", headers=bearer)).json()["name"] == "dev"
        assert (await client.delete(f"/api/v1/tokens/{made['id']}")).status_code == 204
        after = await client.get("/api/v1/me", headers=bearer)
    assert after.status_code == 401
    assert "revoked" in after.json()["detail"]


async def test_a_git_credential_opens_git_alone(world: World) -> None:
    async with world.client("dev") as client:
        made = (await client.post("/api/v1/git-credentials")).json()
        assert made["username"] == "dev"
        principal = await world.services.access.authenticate_git(made["username"], made["password"])
        assert principal.via == "git"
        bearer = {"Authorization": f"Bearer {made['password']}"}
        assert (await client.get("/api/v1/me", headers=bearer)).status_code in (401, 403)
        assert (await client.post("/api/v1/tokens", json={"name": "x"}, headers=bearer)).status_code in (
            401,
            403,
        )


async def test_login_gives_a_token_and_counts_attempts(world: World) -> None:
    await world.services.access.create_user("eve", password="correct horse battery", actor="admin")
    async with world.client() as client:
        login = {"user": "eve", "password": "correct horse battery"}
        made = (await client.post("/api/v1/login", json=login)).json()
        bearer = {"Authorization": f"Bearer {made['token']}"}
        assert (await client.get("/api/v1/me", headers=bearer)).json()["name"] == "eve"
        statuses = []
        for _ in range(7):
            answer = await client.post("/api/v1/login", json={"user": "eve", "password": "wrong"})
            statuses.append(answer.status_code)
    assert statuses[0] == 401
    assert statuses[-1] == 429
    assert int(answer.headers["retry-after"]) >= 1


async def test_a_session_changes_things_only_with_its_csrf_token(world: World) -> None:
    access = world.services.access
    principal = await access.authenticate_token(world.tokens["dev"])
    session, secret = await access.open_session(principal)
    async with world.client() as client:
        client.cookies.set("halage_session", secret)
        assert (await client.get("/api/v1/me")).json()["via"] == "session"
        for wrong in (b"", b"wrong", "é".encode()):
            refused = await client.post("/api/v1/runs/1/retry", headers={b"X-CSRF-Token": wrong})
            assert refused.status_code == 403
        assert world.pipeline.calls == []
        headers = {"X-CSRF-Token": session.csrf_token}
        assert (await client.post("/api/v1/runs/1/retry", headers=headers)).status_code == 200
    assert world.pipeline.calls == [("retry", 1, None, "dev")]


async def test_an_invalid_request_names_place_found_and_allowed(world: World) -> None:
    async with world.client("admin") as client:
        answer = await client.post("/api/v1/projects", json={"name": "Not A Name", "colour": "red"})
    assert answer.status_code == 422
    problem = answer.json()
    assert problem["type"] == "/api/v1/problems#invalid"
    found = {each["location"]: each for each in problem["errors"]}
    assert found["body.name"]["found"] == "'Not A Name'"
    assert "pattern" in found["body.name"]["allowed"]
    assert "body.colour" in found


async def test_a_refused_password_is_not_repeated(world: World) -> None:
    async with world.client("admin") as client:
        user = {"name": "eve", "password": "hunter2"}
        answer = await client.post("/api/v1/users", json=user)
        value = await client.put(
            "/api/v1/projects/shop/environments/prod/variables/A", json={"value": ["s3"]}
        )
    assert answer.status_code == 422
    assert "hunter2" not in answer.text
    assert "s3" not in value.text


@pytest.mark.parametrize("body", [b"{", b"\xff\xfe", b'"\\ud800"', b"[" * 100_000])
async def test_an_unreadable_body_is_refused(world: World, body: bytes) -> None:
    async with world.client("admin") as client:
        headers = {"Content-Type": "application/json"}
        answer = await client.post("/api/v1/projects", content=body, headers=headers)
    assert answer.status_code in (400, 422)
    assert answer.headers["content-type"] == "application/problem+json"


async def test_a_large_body_is_refused_whether_its_length_is_told_or_not(world: World) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(20):
            yield b"x" * 100_000

    async with world.client("admin") as client:
        told = await client.post("/api/v1/projects", content=b"x" * 2_000_000)
        chunked = await client.post("/api/v1/projects", content=pieces())
        push = await client.post("/git/shop.git/git-receive-pack", content=b"x" * 2_000_000)
    assert (told.status_code, chunked.status_code, push.status_code) == (413, 413, 200)


async def test_a_mistake_of_ours_reveals_nothing_but_a_reference(world: World) -> None:
    world.pipeline.stored = None  # type: ignore[assignment]
    with structlog.testing.capture_logs() as logs:
        async with world.client("admin") as client:
            answer = await client.get("/api/v1/runs/1")
    assert answer.status_code == 500
    problem = answer.json()
    assert problem["type"] == "/api/v1/problems#internal"
    assert "NoneType" not in answer.text
    failed = next(line for line in logs if line["event"] == "request failed")
    assert failed["reference"] == problem["reference"] == answer.headers["x-request-id"]
    assert failed["exc_info"]


async def test_every_answer_carries_security_headers_and_a_request_id(world: World) -> None:
    async with world.client("admin") as client:
        for path in ("/api/v1/me", "/api/v1/nothing", "/git/shop.git/info/refs", "/nothing"):
            answer = await client.get(path, headers={"X-Request-ID": "abc-1"})
            assert answer.headers["x-request-id"] == "abc-1"
            assert answer.headers["x-content-type-options"] == "nosniff"
            assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
        answer = await client.get("/api/v1/me", headers={"X-Request-ID": "bad\tid <script>"})
    assert answer.headers["x-request-id"].startswith("req-")
    assert answer.headers["cache-control"] == "no-store"


async def test_the_access_log_tells_who_did_what_and_no_secret(world: World) -> None:
    with structlog.testing.capture_logs() as logs:
        async with world.client("dev") as client:
            await client.post("/api/v1/runs/1/retry?token=hunter2")
            await client.get("/login/halage_very-secret")
    line = next(line for line in logs if line["event"] == "request")
    assert (line["actor"], line["action"], line["subject"]) == ("dev", "pipeline:Retry", "project/shop")
    assert line["status"] == 200
    assert line["duration_ms"] >= 0
    assert "hunter2" not in str(logs)
    assert "very-secret" not in str([line for line in logs if line["event"] == "request"])


async def test_unknown_addresses_and_methods_are_problems_too(world: World) -> None:
    async with world.client("admin") as client:
        nothing = await client.get("/api/v1/nothing")
        method = await client.patch("/api/v1/projects")
    assert nothing.status_code == 404
    assert nothing.json()["type"] == "/api/v1/problems#not-found"
    assert method.status_code == 405
    assert method.json()["type"] == "/api/v1/problems#wrong-method"
    assert "GET" in method.headers["allow"]


async def test_events_of_other_projects_are_not_shown(world: World) -> None:
    def record(tx: Transaction) -> None:
        tx.record("project:Create", actor="admin", subject="project/shop", project="shop")
        tx.record("project:Create", actor="admin", subject="project/hidden", project="hidden")

    await world.services.database.run(record)
    async with world.client("viewer") as client:
        seen = (await client.get("/api/v1/events")).json()
        hidden = await client.get("/api/v1/events?project=hidden")
    async with world.client("admin") as client:
        everything = (await client.get("/api/v1/events?limit=1000")).json()
    assert {entry["project"] for entry in seen} == {"shop"}
    assert hidden.status_code == 404
    assert {"shop", "hidden", None} <= {entry["project"] for entry in everything}


async def test_events_are_chosen_by_who_what_and_when(world: World) -> None:
    def record(tx: Transaction) -> None:
        for actor, action in (
            ("dev", "environment:Deploy"),
            ("dev", "pipeline:Start"),
            ("ada", "environment:Deploy"),
        ):
            tx.record(action, actor=actor, subject="project/shop", project="shop")

    await world.services.database.run(record)
    async with world.client("viewer") as client:
        address = "/api/v1/events?project=shop&actor=dev"
        both = (await client.get(address)).json()
        one = (await client.get(f"{address}&action=environment:*")).json()
        late = (await client.get(f"{address}&since=2999-01-01T00:00:00Z")).json()
        early = (await client.get(f"{address}&until=2999-01-01T00:00:00Z")).json()
        number = await client.get("/api/v1/events?since=1763884800")
        no_zone = await client.get("/api/v1/events?since=2026-11-23T08:00:00")
    assert [each["action"] for each in both] == ["environment:Deploy", "pipeline:Start"]
    assert [each["action"] for each in one] == ["environment:Deploy"]
    assert (late, early) == ([], both)
    assert no_zone.status_code == 422 and "timezone" in no_zone.text
    assert number.status_code == 422 and "2026-11-23T08:00:00Z" in number.text


async def test_a_person_who_leaves_is_let_in_no_more(world: World) -> None:
    async with world.client("admin") as client:
        made = await client.post("/api/v1/users", json={"name": "mia", "password": "a boat on the water"})
        assert made.status_code == 201
        link = await client.post("/api/v1/users/mia/login-link")
        assert link.status_code == 201 and "/login/" in link.json()["login_link"]
        login = await client.post("/api/v1/login", json={"user": "mia", "password": "a boat on the water"})
        theirs = {"Authorization": f"Bearer {login.json()['token']}"}
        assert (await client.get("/api/v1/me", headers=theirs)).status_code == 200
        assert (await client.delete("/api/v1/users/mia")).status_code == 204
        assert (await client.get("/api/v1/me", headers=theirs)).status_code == 401
        assert (await client.delete("/api/v1/users/nobody")).status_code == 404


async def test_a_member_of_an_address_is_given_once(world: World) -> None:
    async with world.client("viewer") as client:
        answer = await client.get("/api/v1/events?project=shop&project=hidden")
        assert answer.status_code == 422
        assert answer.json()["detail"] == "project is given 2 times in the address: give it once."
