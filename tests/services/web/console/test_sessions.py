"""Signing in, one-time links, signing out, languages, what is one's own."""

import re

from halage.web.console.console import SESSION_COOKIE
from tests.services.web.console.sample import PASSWORD, Sample
from tests.services.web.console.visit import Visits, form_fields


async def test_signing_in_with_a_password(visits: Visits) -> None:
    visit = visits.nobody()
    page = (await visit.get("/login?next=/runs/7")).text
    fields = form_fields(page)
    assert fields["next"] == "/runs/7"
    answer = await visit.send("/login", user="paul", password=PASSWORD, next=fields["next"])
    assert (answer.status_code, answer.headers["location"]) == (303, "/runs/7")
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie and "SameSite=lax" in cookie and "Secure" not in cookie
    assert (await visit.get("/runs/7")).status_code == 200


async def test_a_wrong_password_keeps_the_name_and_says_so(visits: Visits) -> None:
    visit = visits.nobody()
    answer = await visit.send("/login", user="paul", password="wrong password")
    assert answer.status_code in (401, 403)
    assert 'value="paul"' in answer.text and "wrong password" not in answer.text
    assert 'role="alert"' in answer.text
    assert "set-cookie" not in answer.headers


async def test_signing_in_never_leads_to_another_site(visits: Visits) -> None:
    for target in ("https://evil.example", "//evil.example", "/\\evil.example"):
        assert form_fields((await visits.nobody().get(f"/login?next={target}")).text)["next"] == "/projects"
        answer = await visits.nobody().send("/login", user="paul", password=PASSWORD, next=target)
        assert answer.headers["location"] == "/projects"


async def test_a_sign_in_form_of_another_site_is_refused(visits: Visits) -> None:
    data = {"user": "paul", "password": PASSWORD}
    answer = await visits.nobody().client.post("/login", data=data, headers={"Sec-Fetch-Site": "cross-site"})
    assert answer.status_code == 403
    assert "set-cookie" not in answer.headers


async def test_looking_at_a_one_time_link_does_not_use_it_up(visits: Visits, sample: Sample) -> None:
    secret = await sample.services.access.create_login_link("paul", "root")
    for _ in range(3):
        page = await visits.nobody().get(f"/login/{secret}")
        assert page.status_code == 200 and "set-cookie" not in page.headers
    visit = visits.nobody()
    answer = await visit.send(f"/login/{secret}")
    assert (answer.status_code, answer.headers["location"]) == (303, "/account?welcome=1")
    assert "Choose a password" in (await visit.get("/account?welcome=1")).text
    again = await visits.nobody().send(f"/login/{secret}")
    assert again.status_code in (401, 403) and "Ask an administrator for a new link" in again.text


async def test_signing_out_ends_the_session(visits: Visits) -> None:
    visit = await visits.by("paul")
    secret = visit.client.cookies[SESSION_COOKIE]
    assert (await visit.client.post("/logout", data={})).status_code == 403
    assert (await visit.send("/logout")).headers["location"] == "/login"
    visit.client.cookies.set(SESSION_COOKIE, secret)
    assert (await visit.get("/projects")).status_code == 303


async def test_the_chosen_language_wins_over_the_browser(visits: Visits) -> None:
    visit = visits.nobody()
    assert "Se connecter" in (await visit.get("/login", "fr")).text
    answer = await visit.send("/language", language="en", back="/login")
    assert answer.headers["location"] == "/login"
    assert "Sign in" in (await visit.get("/login", "fr")).text
    assert (await visit.send("/language", language="fr", back="//evil")).headers["location"] == "/projects"


async def test_a_token_is_shown_once_and_can_be_revoked(visits: Visits, sample: Sample) -> None:
    visit = await visits.by("paul")
    made = await visit.send("/account/tokens", name="laptop", days="30")
    assert made.headers["cache-control"] == "no-store"
    found = re.search(r'id="secret">([^<]+)<', made.text)
    assert found is not None
    assert (await sample.services.access.authenticate_token(found[1])).name == "paul"
    page = (await visit.get("/account")).text
    assert found[1] not in page and "laptop" in page
    token = (await sample.services.access.list_tokens("paul"))[0]
    assert token.expires_at is not None
    await visit.send(f"/account/tokens/{token.id}/revoke")
    assert "laptop" not in (await visit.get("/account")).text


async def test_a_git_credential_opens_git(visits: Visits, sample: Sample) -> None:
    made = await (await visits.by("paul")).send("/account/git-credential", name="desk")
    found = re.search(r'id="secret">([^<]+)<', made.text)
    assert found is not None
    assert (await sample.services.access.authenticate_git("paul", found[1])).via == "git"


async def test_a_new_password_must_be_typed_twice(visits: Visits, sample: Sample) -> None:
    visit = await visits.by("paul")
    differ = await visit.send("/account/password", password="a new long password", again="another one")
    assert differ.status_code == 422 and "The two passwords differ" in differ.text
    new = "three swans on the water"
    assert (await visit.send("/account/password", password=new, again=new)).status_code == 303
    assert (await visit.get("/account?saved=1")).status_code == 200  # this session goes on
    assert (await sample.services.access.authenticate_password("paul", new, "")).name == "paul"


async def test_an_administrator_adds_users(visits: Visits) -> None:
    visit = await visits.by("root")
    made = await visit.send("/users", name="lea")
    found = re.search(r"http://halage\.test(/login/[^<]+)<", made.text)
    assert found is not None
    newcomer = visits.nobody()
    assert (await newcomer.send(found[1])).status_code == 303
    assert (await newcomer.get("/account")).status_code == 200
    assert "lea" in (await visit.get("/users")).text
    assert (await visit.send("/users", name="lea")).status_code == 409
    assert (await visit.send("/users/lea/end")).status_code == 303
    assert (await newcomer.get("/account")).status_code in (303, 401)
    assert (await visit.send("/users/root/end")).status_code == 409  # the last administrator stays
    assert (await visit.send("/users", name="Not A Name")).status_code == 422
