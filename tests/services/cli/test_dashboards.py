"""`halage dashboard`."""

import json
from pathlib import Path

from tests.services.cli.conftest import Halage


def test_a_dashboard_is_exported_imported_replaced_and_deleted(as_dev: Halage, tmp_path: Path) -> None:
    file = tmp_path / "shop.json"
    assert as_dev("dashboard", "export", "shop.prod", "--file", str(file)).code == 0
    layout = json.loads(file.read_text())
    assert sorted(layout) == ["environment", "name", "range_s", "widgets"]

    made = as_dev("dashboard", "import", str(file), "--project", "shop", "--output", "json")
    assert made.code == 0, made.err
    number = json.loads(made.out)["id"]
    shown = as_dev("dashboard", "show", number)
    assert "sum(environment_requests{" in shown.out
    listed = as_dev("dashboard", "list", "--project", "shop")
    assert "by itself" in listed.out and "shop prod" in listed.out

    layout["name"] = "Sales of the shop"
    done = as_dev("dashboard", "import", "-", "--over", number, stdin=json.dumps(layout))
    assert (done.code, done.out) == (0, f"Dashboard {number}: Sales of the shop (version 2).\n")
    assert as_dev("dashboard", "delete", number).code == 0
    assert as_dev("dashboard", "show", number).code == 4


def test_what_is_no_dashboard_is_refused_before_it_is_sent(as_dev: Halage, tmp_path: Path) -> None:
    for text in ("not json", "[]", "{}", '{"name": "x", "widget": []}'):
        file = tmp_path / "wrong.json"
        file.write_text(text)
        answer = as_dev("dashboard", "import", str(file), "--project", "shop")
        assert answer.code == 2, text
    assert as_dev("dashboard", "import", str(tmp_path / "none.json")).code == 2
    unwritable = as_dev("dashboard", "export", "shop.prod", "--file", str(tmp_path / "none" / "x.json"))
    assert unwritable.code == 2 and "cannot be written" in unwritable.err
