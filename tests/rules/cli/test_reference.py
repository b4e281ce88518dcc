"""docs/reference/cli.md is what the commands say of themselves."""

from pathlib import Path

from halage.cli.reference import write_reference

REFERENCE = Path(__file__).parents[3] / "docs" / "reference" / "cli.md"
WRITE_ANEW = """write it anew: python -c 'from halage.cli.reference import write_reference as text; \
print(text(), end="")' > docs/reference/cli.md"""


def test_the_reference_is_up_to_date() -> None:
    assert REFERENCE.read_text() == write_reference(), WRITE_ANEW


def test_every_command_and_every_option_is_described() -> None:
    for line in write_reference().splitlines():
        if line.startswith("| `"):
            assert line.split("|")[2].strip(), line
