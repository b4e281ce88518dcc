"""The command line starts quickly: it is typed all day."""

import os
import subprocess
import sys
from pathlib import Path

HEAVY = ("httpx", "pydantic", "sqlalchemy", "fastapi", "uvicorn", "rich.table", "structlog")


def test_help_loads_nothing_that_it_does_not_need() -> None:
    """What takes long to import is imported by the commands that use it."""
    code = (
        "import sys; sys.argv = ['halage', '--help']\n"
        "from halage.cli.main import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "project" in done.stdout
    assert done.stderr.strip() == "[]"


def test_a_shell_completes_commands() -> None:
    asked = {"_HALAGE_COMPLETE": "complete_bash", "COMP_WORDS": "halage env ro", "COMP_CWORD": "2"}
    halage = Path(sys.executable).with_name("halage")
    done = subprocess.run([halage], env={**os.environ, **asked}, capture_output=True, text=True)
    assert done.stdout.split() == ["rollback"]
