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

    def __str__(self) -> str:
        """In one line, as a person reads it."""
        place = self.file if self.line is None else f"{self.file}, line {self.line}"
        where = f"{place}: {self.key}" if self.key else place
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
