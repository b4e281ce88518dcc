"""docs/reference/cli.md, written from the commands themselves."""

from collections.abc import Iterator
from typing import Any

import typer.main

from halage.cli.main import app

_HEAD = """# The command line

Written from the commands themselves; a test holds it to them. `halage COMMAND --help` says the same.

Every command but `serve`, `configure`, `demo` and `check` talks to a server: the one of the profile that
`halage configure` wrote, or `HALAGE_URL` with `HALAGE_TOKEN`. `--output json` (or `-o json`, before or
after the command's name, or `HALAGE_OUTPUT`) writes the answer as JSON; what is followed comes as one
document a line. Answers go to stdout, everything else to stderr. `halage --install-completion` sets up
completion in your shell.

| Exit code | Meaning |
|---|---|
| 0 | done; a command that waits: what it waited for succeeded |
| 1 | failed |
| 2 | the command was not used as it can be, or a value was refused |
| 3 | not allowed, or not signed in |
| 4 | there is no such thing, or you may not see it |
| 130 | ended by Ctrl-C |
"""


def write_reference() -> str:
    """The whole page."""
    root = typer.main.get_command(app)
    return _HEAD + "".join(_section(path, command) for path, command in _walk("halage", root))


def _walk(path: str, command: Any) -> Iterator[tuple[str, Any]]:
    yield path, command
    for name, inner in sorted(getattr(command, "commands", {}).items()):
        if not inner.hidden:
            yield from _walk(f"{path} {name}", inner)


def _section(path: str, command: Any) -> str:
    arguments = [param for param in command.params if param.param_type_name == "argument"]
    options = [param for param in command.params if param.param_type_name == "option"]
    rows = [(f"`{_name(each)}`", each.help or "") for each in arguments]
    rows += [(_option(each), each.help or "") for each in options if _is_shown(each, path)]
    is_group = hasattr(command, "commands")
    usage = " ".join([path, *map(_usage, arguments), *(["COMMAND"] if is_group else [])])
    lines = ["", f"## {path}", "", f"    {usage}", "", " ".join((command.help or "").split()), ""]
    if rows:
        lines += [
            "| | |",
            "|---|---|",
            *(f"| {name} | {' '.join(text.split())} |" for name, text in rows),
            "",
        ]
    return "\n".join(lines)


def _is_shown(option: Any, path: str) -> bool:
    # --output is told of once, at the top; completion belongs to the root.
    return "--help" not in option.opts and ("--output" not in option.opts or path == "halage")


def _name(argument: Any) -> str:
    return str(argument.metavar or argument.name.upper().rstrip("_"))


def _usage(argument: Any) -> str:
    name = _name(argument)
    return name if argument.required else f"[{name}]"


def _option(option: Any) -> str:
    names = ", ".join(f"`{name}`" for name in [*option.opts, *option.secondary_opts])
    return names.replace("|", "\\|")
