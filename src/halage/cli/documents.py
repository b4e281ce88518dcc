"""Documents that people keep as files and change: written as JSON, read back."""

import json
import sys
from collections.abc import Collection
from pathlib import Path
from typing import Annotated, Any

import typer

from halage.base.errors import Invalid
from halage.cli.session import Session

Document = dict[str, Any]

ToFile = Annotated[Path | None, typer.Option(help="Where to; by default to the terminal.")]
FromFile = Annotated[Path, typer.Argument(help="The document; `-` reads it from the standard input.")]


def write_file(file: Path, text: str) -> None:
    """Write a file as it is. Raises Invalid where that cannot be."""
    try:
        file.write_text(text, encoding="utf-8", newline="")
    except OSError as error:
        raise Invalid(f"{file} cannot be written: {error.strerror}.") from error


def export_document(session: Session, document: Document, file: Path | None, told: Document) -> None:
    """Write a document to the terminal, or into a file and say so (`told` as JSON). Raises Invalid."""
    text = json.dumps(document, indent=2, ensure_ascii=False) + "\n"
    if file is None:
        sys.stdout.write(text)
        return
    write_file(file, text)
    session.tell(f"Wrote {file}.", {"file": str(file), **told})


def read_document(file: Path, kind: str, members: Collection[str]) -> Document:
    """The document in a file: an object with a name, and with none but these members. Raises Invalid.

    `kind` is what it is one of, as the command's group is called.
    """
    try:
        text = sys.stdin.read() if str(file) == "-" else file.read_text("utf-8")
        document = json.loads(text)
    except (OSError, ValueError, RecursionError) as error:
        raise Invalid(f"{file} is not a JSON document that can be read: {error}.") from error
    if not isinstance(document, dict) or "name" not in document:
        raise Invalid(f"{file} is no {kind}: `halage {kind} export` writes one.")
    if unknown := [name for name in document if name not in members]:
        raise Invalid(f"{file} has {unknown[0]!r}, which no {kind} has: there are {', '.join(members)}.")
    return document
