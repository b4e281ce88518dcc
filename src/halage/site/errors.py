"""What can be wrong with what a site says about itself."""

from dataclasses import dataclass

from halage.base.errors import Invalid

FILE = "halage.toml"


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong: where, what was found, what is allowed."""

    key: str
    """The path of the key, such as `[run] persistent`; empty for the file as a whole."""
    found: str
    allowed: str
    line: int | None = None
    nearest: str | None = None
    """The known name that an unknown one is most like."""
    file: str = FILE
    """Empty: it was set on the server, and the key is the path of the setting."""

    def __str__(self) -> str:
        """In one line, as a person reads it."""
        place = self.file if self.line is None else f"{self.file}, line {self.line}"
        where = ": ".join(part for part in (place, self.key) if part)
        meant = f" Did you mean `{self.nearest}`?" if self.nearest else ""
        return f"{where}: found {self.found}.{meant} Allowed: {self.allowed}."


class SiteInvalid(Invalid):
    """What the site says about itself cannot be used."""

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        """Take all the problems of one commit; the message lists each on a line of its own."""
        count = "one problem" if len(problems) == 1 else f"{len(problems)} problems"
        lines = "\n".join(f"- {problem}" for problem in problems)
        super().__init__(f"The site's configuration has {count}:\n{lines}")
        self.problems = problems
        self.facts = {"problems": [str(problem) for problem in problems]}


class SettingsInvalid(Invalid):
    """Settings of an environment cannot be used. Fact: errors (location, found, allowed)."""

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        """Take all the problems of one change; the message lists each on a line of its own."""
        count = "one problem" if len(problems) == 1 else f"{len(problems)} problems"
        lines = "\n".join(f"- {problem}" for problem in problems)
        errors = [{"location": each.key, "found": each.found, "allowed": each.allowed} for each in problems]
        super().__init__(f"The settings have {count}:\n{lines}", errors=errors)
        self.problems = problems
