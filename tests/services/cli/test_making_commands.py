"""`halage env create|clone|rebuild|terminate|template`: what they say and how they end."""

from tests.services.cli.conftest import Halage


def test_making_and_templates(as_dev: Halage) -> None:
    assert "Made qa of shop." in as_dev("env", "create", "shop", "qa", "--template", "big").out
    assert "a clone of prod" in as_dev("env", "clone", "shop", "prod", "qa").out
    taken = as_dev("env", "clone", "shop", "prod", "prod")
    assert taken.code != 0 and "already; choose another name" in taken.err
    assert (
        "Saved the settings of prod as big." in as_dev("env", "template", "save", "shop", "prod", "big").out
    )
    assert "type" in as_dev("env", "template", "list", "shop").out
    assert "Deleted the template big." in as_dev("env", "template", "delete", "shop", "big").out
    assert "succeeded" in as_dev("env", "rebuild", "shop", "prod").out


def test_only_administrators_of_the_project_terminate(as_dev: Halage) -> None:
    assert as_dev("env", "terminate", "shop", "prod", "--yes").code != 0


def test_an_administrator_does(as_admin: Halage) -> None:
    assert "Removed prod of shop." in as_admin("env", "terminate", "shop", "prod", "--yes").out
