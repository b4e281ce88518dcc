"""Which server and token a command uses."""

from pathlib import Path

import pytest

from halage.cli.git import CredentialStore
from halage.cli.profile import (
    BadProfile,
    NotConfigured,
    Profile,
    choose_profile,
    read_profiles,
    write_profile,
)

KEPT = Profile("http://one:7070", "halage_a", "json")


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    directory = tmp_path / "halage"
    write_profile(directory, "default", KEPT)
    write_profile(directory, "other", Profile("http://two:7070", 'halage_"b\\'))
    return {"XDG_CONFIG_HOME": str(tmp_path)}


def test_profiles_are_read_as_they_were_written(environment: dict[str, str], tmp_path: Path) -> None:
    assert choose_profile(None, environment) == KEPT
    assert choose_profile("other", environment).token == 'halage_"b\\'
    assert choose_profile(None, {**environment, "HALAGE_PROFILE": "other"}).url == "http://two:7070"
    assert (tmp_path / "halage" / "profiles.toml").stat().st_mode & 0o777 == 0o600
    assert "halage_a" not in repr(KEPT)


def test_the_environment_wins(environment: dict[str, str]) -> None:
    assert choose_profile(None, {**environment, "HALAGE_TOKEN": "t"}) == Profile(KEPT.url, "t", "json")
    same = choose_profile(None, {**environment, "HALAGE_URL": "http://one:7070/"})
    assert same.token == "halage_a"
    another = choose_profile(None, {**environment, "HALAGE_URL": "http://evil:7070"})
    assert another.token is None


def test_what_cannot_be_used_says_what_to_do(environment: dict[str, str], tmp_path: Path) -> None:
    with pytest.raises(NotConfigured, match="default, other"):
        choose_profile("third", environment)
    with pytest.raises(NotConfigured, match="halage configure"):
        choose_profile(None, {"XDG_CONFIG_HOME": str(tmp_path / "nowhere")})
    (tmp_path / "halage" / "profiles.toml").write_text("[profiles.default]\ntoken = 3")
    with pytest.raises(BadProfile, match="url"):
        read_profiles(tmp_path / "halage")


def test_git_credentials_are_kept_by_server(tmp_path: Path) -> None:
    store = CredentialStore(tmp_path / "halage")
    store.put("http://one:7070", "ada", "p/a:ss@word")
    store.put("http://two:7070/git/x.git", "bob", "b")
    store.put("http://one:7070/", "ada", "new/p@ss")
    assert store.get("http://one:7070/git/shop.git") == ("ada", "new/p@ss")
    assert store.get("https://one:7070") is None
    assert store.path.stat().st_mode & 0o777 == 0o600
    assert len(store.path.read_text().splitlines()) == 2
    store.drop("http://one:7070")
    assert store.get("http://one:7070") is None
    assert store.get("http://two:7070") == ("bob", "b")
