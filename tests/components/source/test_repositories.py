"""What is read from repositories, and commits that are unpacked."""

import asyncio
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from halage.site.detect import defaults_of, detect_kind
from halage.site.model import Kind
from halage.site.read import read_site
from halage.source import store
from halage.source.errors import (
    CommitMissing,
    DestinationInUse,
    FileTooBig,
    LinkEscapes,
    NameInvalid,
    RepositoryExists,
    RepositoryMissing,
)
from halage.source.model import ABSENT
from halage.source.repositories import KIND_FILES
from tests.components.source.rig import Rig

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files to other users")


@dataclass(frozen=True)
class Owner:
    uid: int
    gid: int


async def _push(rig: Rig, files: dict[str, str] | None = None) -> str:
    sha = await rig.client.init(files)
    await rig.client.git("push", "origin", "main")
    return sha


async def _commit_link(rig: Rig, path: str, target: str) -> str:
    link = rig.client.path / path
    link.parent.mkdir(parents=True, exist_ok=True)
    link.symlink_to(target)
    sha = await rig.client.commit({}, f"Link {path}")
    await rig.client.git("push", "origin", "main")
    return sha


async def test_repositories_are_made_once_and_deleted(rig: Rig) -> None:
    with pytest.raises(RepositoryExists):
        await rig.source.create_repository("boutique")
    with pytest.raises(NameInvalid):
        await rig.source.create_repository("../x")
    await _push(rig)
    await rig.source.delete_repository("boutique")
    await rig.source.delete_repository("boutique")
    with pytest.raises(RepositoryMissing):
        await rig.source.refs("boutique")
    assert await rig.database.run(store.seen_refs, "boutique") == {}
    assert list((rig.data / "repositories").iterdir()) == []
    await rig.source.create_repository("boutique")
    assert rig.source.repositories.names() == ["boutique"]
    assert not list((rig.repository / "hooks").glob("*")) if (rig.repository / "hooks").exists() else True


async def test_commits_are_listed_newest_first_with_printable_text(rig: Rig) -> None:
    first = await _push(rig)
    second = await rig.client.commit({"a": "b"}, "Tidy\x1b[31m up\n\nAt length")
    await rig.client.git("push", "origin", "main")
    commits = await rig.source.commits("boutique", "main", 10)
    assert [commit.sha for commit in commits] == [second, first]
    assert commits[0].title == "Tidy?[31m up"
    assert commits[0].author == "Ada"
    assert abs(commits[0].at - commits[1].at) < 60
    assert await rig.source.commit("boutique", first) == commits[1]
    assert len(await rig.source.commits("boutique", "refs/heads/main", 1)) == 1


async def test_an_annotated_tag_stands_for_its_commit(rig: Rig) -> None:
    sha = await _push(rig)
    await rig.client.git("tag", "-a", "v1", "-m", "One")
    await rig.client.git("push", "origin", "v1")
    tag = (await rig.source.refs("boutique"))["refs/tags/v1"]
    assert tag != sha
    assert (await rig.source.commit("boutique", tag)).sha == sha


@pytest.mark.parametrize("sha", ["0" * 40, "main", "--all", "HEAD^{/x}"])
async def test_commits_that_do_not_exist(rig: Rig, sha: str, tmp_path: Path) -> None:
    await _push(rig)
    for question in (rig.source.commit("boutique", sha), rig.source.tree("boutique", sha)):
        with pytest.raises(CommitMissing):
            await question
    with pytest.raises(CommitMissing):
        await rig.source.archive("boutique", sha, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    with pytest.raises(CommitMissing):
        await rig.source.commits("boutique", "--output=x", 1)


async def test_the_files_that_tell_the_kind(rig: Rig) -> None:
    files = {"package.json": "{}", "src/app.js": "1", "artisan": "x", "conf/real.toml": "café"}
    await _push(rig, files)
    (rig.client.path / "halage.toml").symlink_to("conf/real.toml")
    (rig.client.path / "Procfile").symlink_to("/etc/passwd")
    (rig.client.path / "composer.json").mkdir()
    sha = await rig.client.commit({"composer.json/x": "1"}, "Links")
    await rig.client.git("push", "origin", "main")
    tree = await rig.source.tree("boutique", sha)
    assert tree.names() == {
        "package.json",
        "src",
        "artisan",
        "conf",
        "halage.toml",
        "Procfile",
        "composer.json",
    }
    assert tree.read("package.json") == "{}"
    assert tree.read("halage.toml") == "café"
    assert tree.read("Procfile") is None
    assert tree.read("composer.json") is None
    assert tree.read("requirements.txt") is None


async def test_a_huge_file_is_not_read(rig: Rig) -> None:
    sha = await _push(rig, {"package.json": "x" * (1 << 20) + "x"})
    with pytest.raises(FileTooBig, match=r"package\.json holds 1048577 bytes"):
        await rig.source.tree("boutique", sha)


async def test_all_that_a_site_is_read_from_is_loaded(rig: Rig) -> None:
    files = dict.fromkeys(KIND_FILES, "{}")
    more = {"artisan": "", "setup.py": "", "phpunit.xml": "", "server.js": "", "tests/t": "", "vendor/x": ""}
    await rig.client.init({**files, **more, "halage.toml": "", "pyproject.toml": "", "src/a": ""})
    big = "x" * (3 << 20)
    sha = await rig.client.commit({"public/index.html": big}, "A big page")
    await rig.client.git("push", "origin", "main")
    tree = await rig.source.tree("boutique", sha)
    assert detect_kind(tree) == Kind.LARAVEL
    for kind in Kind:
        defaults_of(kind, tree)  # a file that was not loaded would raise KeyError
    read_site(tree, types=["micro"])
    assert tree.read("public/index.html") == big[: 1 << 20]
    assert tree.read("vendor/autoload.php") == "{}"


async def test_a_commit_is_unpacked_as_it_is(rig: Rig, tmp_path: Path) -> None:
    files = {
        "a b/é ü/-rf": "1",
        "tests/t.php": "2",
        ".gitattributes": "/tests export-ignore\nv.txt export-subst\n",
        "v.txt": "$Format:%H$",
        "line\nbreak": "3",
    }
    await rig.client.init(files)
    tool = rig.client.path / "run"
    tool.write_text("#!/bin/sh\n")
    tool.chmod(0o755)
    (rig.client.path / "public").mkdir()
    (rig.client.path / "public" / "storage").symlink_to("../storage/app/public")
    sha = await rig.client.commit({}, "More")
    await rig.client.git("push", "origin", "main")
    out = tmp_path / "out"
    await rig.source.archive("boutique", sha, out)
    for name, text in files.items():
        assert (out / name).read_text() == text
    assert out.stat().st_mode & 0o777 == 0o700
    assert (out / "run").stat().st_mode & 0o777 == 0o755
    assert (out / "v.txt").stat().st_mode & 0o777 == 0o644
    assert (out / "public" / "storage").readlink() == Path("../storage/app/public")
    with pytest.raises(DestinationInUse):
        await rig.source.archive("boutique", sha, out)
    assert (out / "run").exists()


@needs_root
async def test_a_checkout_belongs_to_the_account(rig: Rig, data_directory: Path) -> None:
    sha = await _push(rig, {"a/b": "1"})
    data_directory.parent.chmod(0o711)
    for parent in data_directory.parents:
        if not parent.stat().st_mode & 0o001:
            parent.chmod(parent.stat().st_mode | 0o001)
    out = data_directory / "out"
    await rig.source.archive("boutique", sha, out, Owner(200_123, 200_123))
    for path in (out, out / "a", out / "a" / "b"):
        assert (path.stat().st_uid, path.stat().st_gid) == (200_123, 200_123)


@pytest.mark.parametrize(
    ("path", "target"), [("a", "/etc/passwd"), ("x/y", "../../out"), ("up", ".."), ("t\x1b", "/\x1b")]
)
async def test_a_link_out_of_the_site_is_refused(rig: Rig, tmp_path: Path, path: str, target: str) -> None:
    await _push(rig)
    sha = await _commit_link(rig, path, target)
    with pytest.raises(LinkEscapes) as caught:
        await rig.source.archive("boutique", sha, tmp_path / "out")
    assert path.replace("\x1b", "?") in str(caught.value)
    assert "\x1b" not in str(caught.value)
    assert not (tmp_path / "out").exists()


async def test_a_crowd_of_links_is_read(rig: Rig, tmp_path: Path) -> None:
    await rig.client.init()
    for n in range(300):
        (rig.client.path / f"link{n}").symlink_to(f"target{n}")
    sha = await rig.client.commit({}, "Links")
    await rig.client.git("push", "origin", "main")
    await rig.source.archive("boutique", sha, tmp_path / "out")
    assert len(list((tmp_path / "out").iterdir())) == 301


async def test_a_cancelled_checkout_leaves_nothing(rig: Rig, tmp_path: Path) -> None:
    sha = await _push(rig)
    task = asyncio.ensure_future(rig.source.archive("boutique", sha, tmp_path / "out"))  # noqa: TID251
    await asyncio.sleep(0.008)
    task.cancel()
    await asyncio.wait({task})
    assert task.cancelled() == (not (tmp_path / "out").exists())


async def test_pushes_that_nobody_heard_of_are_told_once(rig: Rig) -> None:
    first = await rig.client.init()
    # By file path, as root would on the server: no hook of ours runs.
    await rig.client.git("push", str(rig.repository), "main", "main:old")
    assert rig.consumer.pushes == []
    told = await rig.source.reconcile()
    assert {(push.ref, push.old, push.new) for push in told} == {
        ("refs/heads/main", ABSENT, first),
        ("refs/heads/old", ABSENT, first),
    }
    assert all(push.is_reconciled for push in told)
    assert rig.consumer.pushes == told
    assert await rig.source.reconcile() == []
    second = await rig.client.commit({"a": "b"}, "Second")
    await rig.client.git("push", str(rig.repository), "main", ":old")
    assert [(push.ref, push.old, push.new) for push in await rig.source.reconcile()] == [
        ("refs/heads/main", first, second),
        ("refs/heads/old", first, ABSENT),
    ]
    assert await rig.source.reconcile() == []


async def test_hooks_do_nothing_without_a_server(rig: Rig, tmp_path: Path) -> None:
    hook = rig.source.git.hooks / "pre-receive"
    for environment in ({}, {"HALAGE_PUSH": "8"}, {"HALAGE_PUSH": "x"}):
        done = subprocess.run(  # noqa: ASYNC221
            [hook], input=b"a b c\n", env=environment, timeout=5, capture_output=True, check=False
        )
        assert (done.returncode, done.stdout) == (0, b"")


async def test_rubbish_of_a_crash_is_swept(rig: Rig) -> None:
    sha = await _push(rig)
    stale = [rig.repository / "refs/heads/main.lock", rig.repository / "packed-refs.lock"]
    fresh = rig.repository / "HEAD.lock"
    quarantine = rig.repository / "objects/tmp_objdir-incoming-abc"
    quarantine.mkdir()
    (rig.data / "repositories/.new-abc").mkdir()
    for path in (*stale, fresh):
        path.touch()
    for path in (*stale, quarantine):
        os.utime(path, (1, 1))
    await rig.source.reconcile()
    assert [path.exists() for path in (*stale, quarantine, fresh)] == [False, False, False, True]
    assert rig.source.repositories.names() == ["boutique"]
    assert not (rig.data / "repositories/.new-abc").exists()
    assert await rig.source.refs("boutique") == {"refs/heads/main": sha}


async def test_tidying_keeps_everything(rig: Rig) -> None:
    sha = await _push(rig)
    await rig.source.repositories.tidy("boutique")
    assert (await rig.source.commit("boutique", sha)).title == "First"
