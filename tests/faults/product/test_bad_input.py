"""What people push that is not as it should be: a clear answer, and everything else as it was."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.product import Product, WorkingCopy
from tests.sites import site, toml_of

BIG_BYTES = 200 * 1024 * 1024
MAY_GROW_KIB = 64 * 1024


@pytest.fixture(scope="module")
def shop(server: Product) -> Iterator[WorkingCopy]:
    shop = WorkingCopy(server, "boutique")
    shop.deploy(site("good"))
    yield shop
    server.client.delete_project("boutique")


def refused(shop: WorkingCopy, files: dict[str, str]) -> str:
    """What git's terminal shows of a commit that is not even built; nothing else has changed."""
    server = shop.server
    before = server.client.list_releases("boutique", "prod")
    shop.commit(files)
    pushed = shop.try_push("-o", "wait")
    assert pushed.code == 0, pushed.text
    run = server.until_run(server.run("boutique")["id"])
    assert run["state"] == "failed"
    assert [stage["job_id"] for stage in run["stages"]] == [None] * len(run["stages"])
    for line in run["reason"].splitlines():
        assert line in pushed.text, pushed.text
    assert server.client.list_releases("boutique", "prod") == before
    assert server.visit("boutique.localhost").body == "good"
    return pushed.text


def test_a_key_that_does_not_exist(shop: WorkingCopy) -> None:
    said = refused(shop, {"halage.toml": toml_of() + "[env]\n[build2]\n"})
    assert "build2: found a key that is not known. Did you mean `build`?" in said, said
    said = refused(shop, {"halage.toml": toml_of(run={"strat": "python3 site.py"})})
    assert (
        "halage.toml, line" in said and "strat: found a key that is not known. Did you mean `start`?" in said
    ), said


def test_a_file_that_is_no_toml(shop: WorkingCopy) -> None:
    said = refused(shop, {"halage.toml": "[run\nstart = 1\n"})
    assert "halage.toml" in said and "line 1" in said, said


def test_a_value_that_is_not_allowed(shop: WorkingCopy) -> None:
    said = refused(shop, {"halage.toml": toml_of(instances=0)})
    assert "[environments.prod] instances: found 0. Allowed: from 1 to 50." in said, said


def test_a_commit_without_tests_is_deployed_with_a_warning(server: Product, shop: WorkingCopy) -> None:
    shop.commit(site("good", toml=toml_of(test=[])))
    pushed = shop.try_push("-o", "wait").text
    run = server.until_run(server.run("boutique")["id"])
    assert run["state"] == "succeeded"
    assert "no tests were found" in pushed, pushed
    job = next(stage["job_id"] for stage in run["stages"] if stage["name"] == "test")
    assert any("no tests were found" in warning for warning in server.client.show_job(job)["warnings"])


def test_odd_branch_names(server: Product, shop: WorkingCopy) -> None:
    shop.commit(site("good"))
    for branch in (
        "été/日本",
        "-rf",
        "--upload-pack=x",
        "a;b&c$(d)",
        "🚢",
        "feature/" + "x" * 180,
        "<b>",
        "'q'",
    ):
        pushed = shop.try_push("-o", "wait", branch=branch)
        assert pushed.code == 0, pushed.text
        run = server.until_run(server.run("boutique")["id"])
        assert (run["branch"], run["state"]) == (branch, "succeeded"), run
        assert [stage["name"] for stage in run["stages"]] == ["source", "test"]
    assert server.visit("boutique.localhost").body == "good"


def test_odd_file_names(server: Product, shop: WorkingCopy) -> None:
    names = [
        "-rf",
        "--help",
        "été 日本.txt",
        "two  words",
        "new\nline",
        "'q\"",
        "$(touch pwned)",
        "*",
        "\\n",
        "🚢",
    ]
    answer = "(200, json.dumps(sorted(os.listdir('odd'))).encode())"
    files = site("", answer=answer, before="import json", toml=toml_of(test=["ls odd | wc -l"]))
    shop.deploy({**files, **{f"odd/{name}": "x" for name in names}, "-d/--e/f": "x"}, "Odd names")
    assert json.loads(server.visit("boutique.localhost").body) == sorted(names)
    assert not list((server.data / "sites").rglob("pwned"))
    shop.git("rm", "-rq", "--", "odd", "-d")
    shop.deploy(site("good"))


def test_a_link_out_of_the_site(server: Product, shop: WorkingCopy) -> None:
    (shop.path / "key").symlink_to("../../../../../halage.db")
    shop.commit({})
    pushed = shop.try_push("-o", "wait").text
    run = server.until_run(server.run("boutique")["id"])
    assert run["state"] == "failed"
    assert "key" in run["reason"] and "link" in run["reason"], run["reason"]
    assert run["reason"] in pushed, pushed
    assert server.visit("boutique.localhost").body == "good"
    (shop.path / "key").unlink()
    shop.deploy(site("good"))


def peak_kib(server: Product) -> int:
    assert server.process is not None
    found = re.search(r"VmHWM:\s+(\d+)", Path(f"/proc/{server.process.pid}/status").read_text())
    assert found is not None
    return int(found[1])


@pytest.mark.timeout(300)
def test_a_file_of_200_mb(server: Product, shop: WorkingCopy) -> None:
    """Through all of it: push, checkout, bundle, release."""
    shop.git("config", "core.compression", "0")
    shop.deploy(site("good"))
    before_kib = peak_kib(server)
    with Path("/dev/urandom").open("rb") as noise, (shop.path / "big").open("wb") as big:
        for _ in range(BIG_BYTES // (1 << 20)):
            big.write(noise.read(1 << 20))
    answer = "(200, str(os.stat('big').st_size).encode())"
    shop.deploy(site("", answer=answer))
    grown_kib = peak_kib(server) - before_kib
    print(f"the server grew by {grown_kib // 1024} MiB")
    assert grown_kib < MAY_GROW_KIB
    assert server.visit("boutique.localhost").body == str(BIG_BYTES)
    shop.git("rm", "-q", "big")
    shop.deploy(site("good"))
