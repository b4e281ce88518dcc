"""The secret behind the keys, in its file."""

from pathlib import Path

import pytest

from halage.monitor.intake.keys import SiteKeys


def test_keys_are_the_same_after_a_restart_and_different_elsewhere(tmp_path: Path) -> None:
    here, there = SiteKeys.load(tmp_path / "here"), SiteKeys.load(tmp_path / "there")
    key = here.key_of(("shop", "prod"))
    assert SiteKeys.load(tmp_path / "here").key_of(("shop", "prod")) == key
    others = {there.key_of(("shop", "prod")), here.key_of(("shop", "dev")), here.key_of(("sho", "pprod"))}
    assert len(others | {key}) == 4
    assert len(key) == 25 and key.isalnum() and key.islower()


def test_the_secret_is_for_its_owner_alone(tmp_path: Path) -> None:
    SiteKeys.load(tmp_path / "secret")
    assert (tmp_path / "secret").stat().st_mode & 0o777 == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["secret"]


def test_a_broken_file_is_named_and_not_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_bytes(b"short")
    with pytest.raises(OSError, match="32 bytes"):
        SiteKeys.load(path)
    assert path.read_bytes() == b"short"
