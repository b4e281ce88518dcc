"""`halage env config`: every command, in both forms, and how it ends."""

import json
from pathlib import Path

from tests.services.cli.conftest import Halage

PLACE = ("shop", "prod")


def _config(halage: Halage, command: str, *arguments: str, fails: bool = False) -> str:
    answer = halage("env", "config", command, *PLACE, *arguments)
    assert (answer.code != 0) == fails, answer.err
    return answer.err if fails else answer.out


def test_set_show_diff_history_unset(as_dev: Halage) -> None:
    out = _config(as_dev, "set", "deployments.policy=canary", "deployments.batch=25%", "--reason", "careful")
    assert 'deployments.policy  "rolling_additional"  "canary"' in out
    shown = _config(as_dev, "show", "deployments")
    assert "deployments.policy" in shown and '"canary"' in shown and "server" in shown
    assert "balancer" not in shown
    assert "deployments.canary.percent" not in _config(as_dev, "show", "--said")
    assert "deployments.batch" in _config(as_dev, "diff")
    assert "careful" in _config(as_dev, "history")
    document = json.loads(_config(as_dev, "show", "deployments.batch", "-o", "json"))
    (setting,) = document["settings"]
    assert (setting["value"], setting["source"]) == ("25%", "server")
    _config(as_dev, "unset", "deployments")
    assert "deployments.batch" not in _config(as_dev, "diff")


def test_a_preview_and_what_is_refused(as_dev: Halage) -> None:
    assert "small" in _config(as_dev, "set", "type=small", "--preview")
    assert '"small"' not in _config(as_dev, "show", "type")
    error = _config(as_dev, "set", "scaling.minimum=4", "scaling.maximum=2", fails=True)
    assert "scaling.minimum: found 4, over the maximum of 2. Allowed: at most 2." in error
    assert "write PATH=VALUE" in _config(as_dev, "set", "type", fails=True)
    assert "not both" in _config(as_dev, "diff", "--release", "v1", "--with", "dev", fails=True)
    assert "such as v7" in _config(as_dev, "show", "--release", "last", fails=True)


def test_what_is_exported_can_be_imported(as_dev: Halage, tmp_path: Path) -> None:
    window = '{cron = "0 9 * * 1-5", duration = "8h"}'
    _config(as_dev, "set", f"schedule.windows=[{window}]", "run.metrics=/metrics", "instances=3")
    text = _config(as_dev, "export", "--server")
    assert '[run]\nmetrics = "/metrics"' in text and "[environments.prod]\ninstances = 3" in text
    file = tmp_path / "prod.toml"
    file.write_text(text)
    before = json.loads(_config(as_dev, "show", "-o", "json"))
    _config(as_dev, "set", "balancer.stickiness=true", "instances=4")
    _config(as_dev, "import", str(file))
    assert json.loads(_config(as_dev, "show", "-o", "json")) == before
    assert "import of prod.toml" in _config(as_dev, "history")
    file.write_text("[environments.a]\n[environments.b]\n")
    assert "no [environments.prod], but a, b" in _config(as_dev, "import", str(file), fails=True)
    file.write_text("[environments")
    assert "no TOML" in _config(as_dev, "import", str(file), fails=True)
    _config(as_dev, "unset", "schedule", "run", "instances")
