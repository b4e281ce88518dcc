"""Sites by HTTPS; the console, the API and git through the balancer, at a host name of their own."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from halage.balancer.certificates import make_certificate
from tests.ports import unused_port
from tests.product import Output, Product, WorkingCopy, eventually, product, run
from tests.sites import site, toml_of

HOST = "halage.localhost"


@pytest.fixture(scope="module")
def server() -> Iterator[Product]:
    """A server whose console has a host name of its own."""
    settings = {"HALAGE_HTTPS": f"127.0.0.1:{unused_port()}", "HALAGE_CONSOLE_HOST": HOST}
    with product(unused_port(), unused_port(), settings=settings) as one:
        yield one


@pytest.fixture(scope="module")
def trusted(server: Product) -> Path:
    """The certificate of the server's authority, in a file."""
    path = server.directory / "authority.pem"
    path.write_text(server.halage("env", "certificate", "authority").text)
    return path


def https_of(server: Product, host: str = HOST) -> str:
    port = server.settings["HALAGE_HTTPS"].rpartition(":")[2]
    return f"https://{host}:{port}"


def curl(server: Product, *words: str) -> Output:
    """What curl got, and at the end the status."""
    command = ["curl", "--silent", "--show-error", "--write-out", "\n%{http_code}", *words]
    return run(command, server.directory, server.environment())


def test_api_and_console_answer_by_https(server: Product, trusted: Path) -> None:
    health = curl(server, "--cacert", str(trusted), f"{https_of(server)}/api/v1/health")
    assert health.text.endswith("200") and '"ok"' in health.text, health.text
    page = curl(server, "--cacert", str(trusted), f"{https_of(server)}/login")
    assert page.text.endswith("200") and "<form" in page.text
    stranger = curl(server, f"{https_of(server)}/api/v1/health")
    assert stranger.code == 60, "a certificate that nobody was told to trust"


def test_http_is_sent_on(server: Product) -> None:
    found = curl(server, "--head", f"http://{HOST}:{server.visitors_port}/login?next=/runs")
    assert f"location: {https_of(server)}/login?next=/runs" in found.text
    assert found.text.endswith("308")


def test_cookies_of_a_sign_in_are_for_https_alone(server: Product, trusted: Path) -> None:
    added = server.client.add_user("zoe", password="a long word for zoe")
    assert added["login_link"].startswith(f"{https_of(server)}/login/")
    form = ("--data", "user=zoe", "--data-urlencode", "password=a long word for zoe")
    headers = ("--include", "--header", f"Origin: {https_of(server)}")
    signed_in = curl(server, "--cacert", str(trusted), *headers, *form, f"{https_of(server)}/login")
    assert signed_in.text.endswith("303"), signed_in.text
    cookies = [line for line in signed_in.text.splitlines() if line.lower().startswith("set-cookie")]
    assert cookies and all("Secure" in cookie for cookie in cookies), signed_in.text


def test_git_works_through_the_balancer(server: Product, trusted: Path) -> None:
    shop = WorkingCopy(server, "boutique")
    port = server.settings["HALAGE_HTTPS"].rpartition(":")[2]
    remote = f"https://admin:{server.token}@{HOST}:{port}/git/boutique.git"
    shop.git("config", "http.sslCAInfo", str(trusted))
    # Larger than the buffers on the way.
    commit = shop.commit(site("hello") | {"big.txt": "0123456789abcdef\n" * 200_000})
    pushed = shop.try_push(remote=remote)
    assert pushed.code == 0, pushed.text
    run_ = eventually(lambda: next(iter(server.client.list_runs("boutique")), None), "a run")
    assert run_["commit"] == commit
    again = run(
        ["git", "-c", f"http.sslCAInfo={trusted}", "clone", "-q", remote, "again"],
        server.directory,
        server.environment(),
    )
    assert again.code == 0, again.text
    server.client.delete_project("boutique")


def test_given_certificate_is_shown_at_once(server: Product, trusted: Path) -> None:
    given = make_certificate([HOST], time.time(), None)
    mine = server.directory / "mine.pem"
    mine.write_text(given.chain + given.key)
    told = server.halage("env", "certificate", "set", "--console", "--certificate", str(mine))
    assert told.code == 0 and HOST in told.text, told.text
    (server.directory / "public.pem").write_text(given.chain)
    health = curl(
        server, "--cacert", str(server.directory / "public.pem"), f"{https_of(server)}/api/v1/health"
    )
    assert health.text.endswith("200"), health.text
    other = server.directory / "other.pem"
    made = make_certificate(["other.example"], time.time(), None)
    other.write_text(made.chain + made.key)
    refused = server.halage("env", "certificate", "set", "--console", "--certificate", str(other))
    assert refused.code != 0 and "good for other.example" in " ".join(refused.text.split())
    removed = server.halage("env", "certificate", "remove", "--console")
    assert removed.code == 0, removed.text
    health = curl(server, "--cacert", str(trusted), f"{https_of(server)}/api/v1/health")
    assert health.text.endswith("200"), health.text


def test_visitors_of_a_stopped_console_get_a_page_and_then_the_console(
    server: Product, trusted: Path
) -> None:
    def status() -> str:
        return curl(server, "--cacert", str(trusted), f"{https_of(server)}/api/v1/health").text[-3:]

    server.stop()
    assert status() in ("502", "503")
    server.start()
    eventually(lambda: status() == "200", "the console to be served again")


def test_site_is_served_by_https_from_the_deployment_on_that_says_so(server: Product, trusted: Path) -> None:
    shop = WorkingCopy(server, "atelier")
    shop.deploy(site("hello", toml=toml_of()))
    toml = toml_of() + '[environments.prod.balancer]\nhttps = "redirect"\nstickiness = true\n'
    shop.deploy(site("secured", toml=toml))
    address = https_of(server, "atelier.localhost")
    assert server.client.show_environment("atelier", "prod")["urls"] == [f"{address}/"]
    found = curl(server, "--include", "--cacert", str(trusted), f"{address}/")
    assert found.text.endswith("secured\n200"), found.text
    assert "halage_instance=" in found.text and "; Secure" in found.text
    sent_on = curl(server, "--head", f"http://atelier.localhost:{server.visitors_port}/a?b=c")
    assert f"location: {address}/a?b=c" in sent_on.text
    given = make_certificate(["atelier.localhost"], time.time(), None)
    mine = server.directory / "atelier.pem"
    mine.write_text(given.chain + given.key)
    told = server.halage("env", "certificate", "set", "atelier", "prod", "--certificate", str(mine))
    assert told.code == 0, told.text
    assert curl(server, "--cacert", str(mine), f"{address}/").text.endswith("200")
    again = server.halage("env", "rollback", "atelier", "prod")
    assert again.code == 0, again.text
    assert server.visit("atelier.localhost").body == "hello", "the settings went back with the release"
    server.client.delete_project("atelier")
