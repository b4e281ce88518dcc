"""The main job, as the tutorial tells it: by the command line, for each of the templates."""

import re
import shutil

import pytest

from tests.product import Document, Output, Product, run

KINDS = ["laravel", "python", "node", "static"]


def shown(server: Product, host: str) -> str:
    """The heading of a site's page."""
    answer = server.visit(host)
    assert answer.status == 200, answer
    heading = re.search(r"<h1[^>]*>(.*?)</h1>", answer.body, re.DOTALL)
    assert heading is not None, answer.body[:500]
    return heading[1]


def done(output: Output) -> str:
    assert output.code == 0, output.text
    return output.text


@pytest.mark.timeout(300)
@pytest.mark.parametrize("kind", KINDS)
def test_from_a_template_to_production(server: Product, kind: str) -> None:
    if kind == "laravel" and shutil.which("phpunit") is None:
        pytest.skip("PHP with Laravel and PHPUnit is not installed")
    project = f"shop-{kind}"
    copy = server.directory / project
    done(server.halage("project", "create", project, "--template", kind))
    pushed = done(run_git(server, project, "push", "-o", "wait"))
    for word in ("test done", "dev done", "preprod done", "waits for an approval of prod"):
        assert word in pushed, pushed
    assert server.visit(f"{project}.localhost").status == 503  # known, and not there yet
    heading = shown(server, f"preprod.{project}.localhost")
    assert heading == shown(server, f"dev.{project}.localhost")

    done(server.halage("approve", project, "--comment", "looks good", directory=copy))
    first = server.until_run(server.run(project)["id"])
    assert first["state"] == "succeeded", first
    assert shown(server, f"{project}.localhost") == heading
    environment = server.client.show_environment(project, "prod")
    assert (environment["colour"], environment["serving"]) == ("green", 2)
    digests = {
        server.client.list_releases(project, each)[0]["bundle_digest"] for each in ("dev", "preprod", "prod")
    }
    assert len(digests) == 1, "production must run the very bytes that were tested"
    if kind in ("laravel", "python"):
        report = server.client.show_job(job_of(first))["report"]
        assert report["passed"] > 0 and report["failed"] == 0

    change_heading(server, project, " Again.")
    pushed = done(run_git(server, project, "push", "-o", "wait"))
    assert "waits for an approval" in pushed, pushed
    done(server.halage("approve", project, directory=copy))
    assert server.until_run(server.run(project)["id"])["state"] == "succeeded"
    assert shown(server, f"{project}.localhost") == heading + " Again."
    server.client.delete_project(project)
    assert server.visit(f"{project}.localhost").status == 404


def job_of(run: Document) -> int:
    return int(next(stage["job_id"] for stage in run["stages"] if stage["name"] == "test"))


def run_git(server: Product, project: str, *words: str) -> Output:
    return run(["git", *words], server.directory / project, server.environment())


def change_heading(server: Product, project: str, text: str) -> None:
    """Add to the first heading in what the visitors see, as a developer would."""
    copy = server.directory / project
    for pattern in ("*home.blade.php", "public/index.html", "templates/*.html", "page.js"):
        for path in sorted(copy.glob(f"**/{pattern}")):
            changed, count = re.subn(
                r"(<h1[^>]*>)(.*?)(</h1>)",
                rf"\g<1>\g<2>{text}\g<3>",
                path.read_text(),
                count=1,
                flags=re.DOTALL,
            )
            if count:
                path.write_text(changed)
                done(run_git(server, project, "commit", "--quiet", "--all", "-m", text))
                return
    raise AssertionError(f"{project} has no heading")
