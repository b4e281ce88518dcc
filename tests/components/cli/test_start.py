"""The command line starts quickly: it is typed all day."""

import subprocess
import sys

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
