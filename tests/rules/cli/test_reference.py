"""docs/reference/cli.md is what the commands say of themselves."""

from pathlib import Path

from halage.cli.main import app
from halage.cli.reference import write_reference

REFERENCE = Path(__file__).parents[3] / "docs" / "reference" / "cli.md"
WRITE_ANEW = """write it anew: python -c 'from halage.cli.main import app
from halage.cli.reference import write_reference as text; \
print(text(), end="")' > docs/reference/cli.md"""


def test_the_reference_is_up_to_date() -> None:
    assert REFERENCE.read_text() == write_reference(), WRITE_ANEW


def test_every_command_and_every_option_is_described() -> None:
    for line in write_reference().splitlines():
        if line.startswith("| `"):
            assert line.split("|")[2].strip(), line


def test_groups_of_commands_are_named_in_the_singular() -> None:
    groups = [group.typer_instance for group in app.registered_groups if group.typer_instance is not None]
    assert len(groups) >= 9
    for group in groups:
        groups += [each.typer_instance for each in group.registered_groups if each.typer_instance is not None]
        assert not str(group.info.name).endswith("s"), group.info.name
