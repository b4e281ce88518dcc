"""Who gets in, what else is there, and the shapes that requests come in."""

import gzip
from pathlib import Path

import httpx
import pytest

from tests.components.source.rig import SECRET, Rig, raw_get

AUTH = ("ada", SECRET)


def _base(rig: Rig) -> str:
    return f"http://127.0.0.1:{rig.client.port}/git"


async def _get(rig: Rig, path: str, auth: tuple[str, str] | None = AUTH) -> httpx.Response:
    async with httpx.AsyncClient() as http:
        return await http.get(_base(rig) + path, auth=auth)


async def test_without_a_credential_all_is_401(rig: Rig) -> None:
    for project in ("boutique", "unknown", "a/b"):
        answer = await _get(rig, f"/{project}.git/info/refs?service=git-upload-pack", None)
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"].startswith("Basic realm=")
        assert project not in answer.text
    rig.client.user = None
    await rig.client.init()
    output = await rig.client.try_git("push", "origin", "main")
    assert output.code == 128
    assert "could not read Username" in output.text


async def test_a_wrong_credential(rig: Rig) -> None:
    rig.client.secret = "wrong"
    await rig.client.init()
    output = await rig.client.try_git("push", "origin", "main")
    assert output.code == 128
    assert "remote: The credential is not valid" in output.text
    assert "Authentication failed" in output.text


async def test_a_viewer_may_clone_but_not_push(rig: Rig) -> None:
    await rig.client.init()
    await rig.client.git("push", "origin", "main")
    rig.client.user = "victor"
    await rig.client.git("clone", rig.client.url(), "copy", cwd=rig.client.home)
    output = await rig.client.try_git("push", rig.client.url(), "main:other")
    assert output.code == 128
    assert "remote: victor may not do source:Push on project/boutique" in output.text
    assert len(rig.consumer.pushes) == 1
    async with httpx.AsyncClient() as http:
        answer = await http.post(_base(rig) + "/boutique.git/git-receive-pack", auth=("victor", SECRET))
    assert answer.status_code == 403


async def test_a_stranger_cannot_tell_a_hidden_project_from_one_that_does_not_exist(rig: Rig) -> None:
    stranger = ("eve", SECRET)
    hidden = await _get(rig, "/boutique.git/info/refs?service=git-upload-pack", stranger)
    unknown = await _get(rig, "/unknown.git/info/refs?service=git-upload-pack", stranger)
    assert (hidden.status_code, unknown.status_code) == (404, 404)
    assert hidden.text == unknown.text.replace("unknown", "boutique")
    rig.client.user = "eve"
    await rig.client.init()
    output = await rig.client.try_git("push", "origin", "main")
    assert "remote: There is no project boutique, or you may not see it." in output.text


async def test_an_administrator_gets_404_for_a_project_that_does_not_exist(rig: Rig) -> None:
    answer = await _get(rig, "/unknown.git/info/refs?service=git-receive-pack", ("root", SECRET))
    assert answer.status_code == 404


async def test_gzip_bodies(rig: Rig) -> None:
    sha = await rig.client.init()
    await rig.client.git("push", "origin", "main")
    asked = b"0014command=ls-refs\n00010000"
    headers = {
        "content-type": "application/x-git-upload-pack-request",
        "git-protocol": "version=2",
        "content-encoding": "gzip",
    }
    async with httpx.AsyncClient() as http:
        answer = await http.post(
            _base(rig) + "/boutique.git/git-upload-pack",
            content=gzip.compress(asked),
            headers=headers,
            auth=AUTH,
        )
    assert answer.status_code == 200
    assert f"{sha} refs/heads/main" in answer.text
    assert answer.headers["content-type"] == "application/x-git-upload-pack-result"


async def test_a_foreign_content_type_is_refused_by_git(rig: Rig) -> None:
    async with httpx.AsyncClient() as http:
        answer = await http.post(
            _base(rig) + "/boutique.git/git-upload-pack",
            content=b"0000",
            headers={"content-type": "x"},
            auth=AUTH,
        )
    assert answer.status_code == 415


async def test_chunked_pushes(rig: Rig) -> None:
    sha = await rig.client.init({"big": "x" * 10_000})
    await rig.client.git("config", "core.compression", "0")
    process = await rig.client.start("-c", "http.postBuffer=1024", "push", "origin", "main")
    text, _ = await process.communicate()
    assert process.returncode == 0, text
    assert await rig.source.refs("boutique") == {"refs/heads/main": sha}


@pytest.mark.parametrize("version", ["0", "2"])
@pytest.mark.parametrize("option", ["--depth=1", "--filter=blob:none", "--no-tags"])
async def test_clones(rig: Rig, version: str, option: str) -> None:
    await rig.client.init()
    for n in range(3):
        await rig.client.commit({f"f{n}": str(n)}, f"Commit {n}")
    await rig.client.git("push", "origin", "main")
    if version == "0" and "filter" in option:
        pytest.skip("lazy fetches of a partial clone need version 2, which is every client's default")
    await rig.client.git(
        "-c", f"protocol.version={version}", "clone", option, rig.client.url(), "copy", cwd=rig.client.home
    )
    copy = rig.client.home / "copy"
    assert (copy / "f2").read_text() == "2"
    count = (await rig.client.git("rev-list", "--count", "HEAD", cwd=copy)).strip()
    assert count == ("1" if "depth" in option else "4")
    await rig.client.git("fsck", cwd=copy)


async def test_a_partial_clone_leaves_blobs_on_the_server(rig: Rig) -> None:
    await rig.client.init()
    await rig.client.git("push", "origin", "main")
    clone = ("clone", "--filter=blob:none", "--no-checkout", rig.client.url(), "copy")
    await rig.client.git(*clone, cwd=rig.client.home)
    copy = rig.client.home / "copy"
    listing = await rig.client.git("rev-list", "--objects", "--all", "--missing=print", cwd=copy)
    assert listing.count("\n?") == 1


async def test_no_push_is_taken_when_the_disk_is_full(rig: Rig) -> None:
    rig.door._reserve_bytes = 1 << 60
    await rig.client.init()
    output = await rig.client.try_git("push", "origin", "main")
    assert output.code == 128
    assert "remote: The disk of the server is full" in output.text
    rig.door._reserve_bytes = 0
    await rig.client.git("push", "origin", "main")


async def test_nothing_of_the_servers_own_git_configuration_is_used(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    poison = tmp_path / "poison"
    poison.write_text(
        "[core]\n\thooksPath = /nonexistent\n[receive]\n\tdenyDeletes = true\n[http]\n\treceivepack = false\n"
    )
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(poison))
    monkeypatch.setenv("GIT_DIR", "/nonexistent")
    monkeypatch.setenv("GIT_CONFIG_PARAMETERS", "'http.receivepack=false'")
    await rig.client.init()
    assert "run for refs/heads/main" in await rig.client.git("push", "origin", "main")


@pytest.mark.parametrize(
    "path",
    [
        "/git/boutique.git/../../halage.db",
        "/git/../halage.db",
        "/git/boutique.git/..%2f..%2fhalage.db",
        "/git/%2e%2e/%2e%2e/etc/passwd",
        "/git/boutique.git/config",
        "/git/boutique.git/HEAD",
        "/git/boutique.git/objects/info/packs",
        "/git/boutique.git/info/refs",
        "/git/boutique/info/refs?service=git-upload-pack",
        "/git//boutique.git/info/refs?service=git-upload-pack",
        "/git/boutique.git//info/refs?service=git-upload-pack",
        "/git/boutique.git/info/refs%00?service=git-upload-pack",
        "/git/boutique.git/info/refs%0a?service=git-upload-pack",
    ],
)
async def test_path_traversal_leads_nowhere(rig: Rig, path: str) -> None:
    status = await raw_get(rig.client.port, path)
    assert status in (404, 400)
