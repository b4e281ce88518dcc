"""What an entry of the journal means to those who are told."""

from typing import Any

import pytest

from halage.base.journal import Entry
from halage.environment.notices.words import notice_of

HERE = "prod of shop: "


def _entry(action: str, before: Any = None, after: Any = None, **details: Any) -> Entry:
    subject = "project/shop/environment/prod"
    return Entry(1, 0.0, "halage", f"environment:{action}", subject, "shop", details, before, after, "halage")


@pytest.mark.parametrize(
    ("entry", "event", "title"),
    [
        (_entry("Deploy", release=7), "started", f"{HERE}deployment started (v7)"),
        (_entry("Deployed", after={"release": 7}), "succeeded", f"{HERE}deployment succeeded (v7)"),
        (_entry("DeploymentFailed", reason="it exited"), "failed", f"{HERE}deployment failed"),
        (_entry("RolledBack", reason="it exited"), "rolled_back", f"{HERE}deployment was rolled back"),
        (_entry("Scale", {"instances": 1}, {"instances": 3}), "scaled", f"{HERE}1 to 3 instances"),
        (_entry("HealthChanged", {"status": "ok"}, {"status": "severe"}), "degraded", f"{HERE}severe"),
        (_entry("HealthChanged", None, {"status": "degraded"}), "degraded", f"{HERE}degraded"),
        (
            _entry("HealthChanged", {"status": "severe"}, {"status": "ok"}),
            "recovered",
            f"{HERE}ok again",
        ),
    ],
)
def test_events(entry: Entry, event: str, title: str) -> None:
    notice = notice_of(entry)
    assert notice is not None
    assert (notice.event, notice.title) == (event, title)


@pytest.mark.parametrize(
    "entry",
    [
        _entry("HealthChanged", {"status": "degraded"}, {"status": "severe"}),
        _entry("HealthChanged", {"status": "ok"}, {"status": "warning"}),
        _entry("HealthChanged", {"status": "severe"}, {"status": "no_data"}),
        _entry("Configure"),
    ],
)
def test_what_is_nothing_to_tell_of(entry: Entry) -> None:
    assert notice_of(entry) is None
