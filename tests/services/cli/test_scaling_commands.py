"""`halage env scaling`, `suspend`, `resume`, `protect`, `simulate` against a server."""

import json
from pathlib import Path

from tests.services.cli.conftest import Halage

PROD = ("shop", "prod")
TRACE = "time,requests\n2026-01-01 00:00:00,60\n2026-01-01 00:01:00,30000\n2026-01-01 00:02:00,60\n"


def test_scaling(as_dev: Halage) -> None:
    shown = as_dev("env", "scaling", *PROD)
    assert shown.code == 0, shown.err
    for words in (
        "4, 2 warming up, 1 protected",
        "1 to 6",
        "load: target 80, for 1 min 00 s (requests)",
        "day: 0 8 * * 1-5 (Europe/Paris): minimum 2",
        "no limits: only people",
        "2 to 4: load 310 over 80: 4 wanted",
    ):
        assert words in shown.out, shown.out
    assert json.loads(as_dev("env", "scaling", *PROD, "-o", "json").out)["processes"][0]["process"] == "web"


def test_suspend_and_resume(as_dev: Halage) -> None:
    assert "in, out suspended" in as_dev("env", "suspend", *PROD, "out", "in").out
    assert "in, out, replace suspended" in as_dev("env", "suspend", *PROD, "replace").out
    assert "Suspended: in, out, replace." in as_dev("env", "scaling", *PROD).err
    assert "out, replace suspended" in as_dev("env", "resume", *PROD, "in").out
    assert "nothing suspended" in as_dev("env", "resume", *PROD).out
    wrong = as_dev("env", "suspend", *PROD, "up")
    assert (wrong.code, "'up' cannot be suspended" in wrong.err) == (2, True)


def test_protect(as_dev: Halage) -> None:
    assert "i-1 is protected" in as_dev("env", "protect", *PROD, "i-1").out
    assert "not protected any more" in as_dev("env", "protect", *PROD, "i-1", "--off").out
    assert as_dev("env", "protect", *PROD, "i-9").code == 4


def test_simulate(as_dev: Halage, tmp_path: Path) -> None:
    trace, picture = tmp_path / "trace.csv", tmp_path / "picture.svg"
    trace.write_text(TRACE)
    arguments = ("--capacity", "100", "--trace", str(trace), "--target", "requests=70", "--svg", str(picture))
    shown = as_dev("env", "simulate", *PROD, *arguments)
    assert shown.code == 0, shown.err
    for words in ("30,120 requests, at most 500 a second", "static 5", "instance hours", "█"):
        assert words in shown.out, shown.out
    assert picture.read_text().startswith("<svg")
    assert as_dev("env", "simulate", *PROD, "--capacity", "100", "--trace", "-", stdin=TRACE).code == 0
    assert as_dev("env", "simulate", *PROD, "--capacity", "100", "--since", "1d").code == 0
    for wrong, said in (
        (("--trace", str(tmp_path / "none")), "cannot be read"),
        (("--target", "requests"), "METRIC=VALUE"),
        (("--target", "requests=many"), "METRIC=VALUE"),
    ):
        refused = as_dev("env", "simulate", *PROD, "--capacity", "1", *wrong)
        assert (refused.code, said in refused.err) == (2, True), refused.err
