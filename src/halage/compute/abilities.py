"""What the machine lets the driver do, said plainly: a limit that is not kept is never pretended."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Ability:
    """One thing that the driver can do here, or why it cannot (`reason`, a half sentence)."""

    is_there: bool
    reason: str = ""

    def __bool__(self) -> bool:
        return self.is_there


@dataclass(frozen=True, slots=True)
class Abilities:
    """What holds for the units on this machine."""

    accounts: Ability
    cpu: Ability
    memory: Ability
    processes: Ability
    sandbox: Ability
    log_rotation: Ability

    @property
    def sandbox_warning(self) -> str | None:
        """What to show beside a build that asked for a sandbox; None when it gets one."""
        if self.sandbox:
            return None
        return (
            f"No sandbox: {self.sandbox.reason}. The commands run in a private directory, but can read "
            "what their account can read on this machine, and use the network."
        )

    def sentences(self) -> tuple[str, ...]:
        """One sentence for each ability, for the console and the log."""
        return (
            _sentence(
                self.accounts,
                "Each project runs under a user id of its own.",
                "Projects are not kept apart from each other or from the server",
            ),
            _sentence(self.cpu, "CPU limits are enforced.", "CPU limits are not enforced"),
            _sentence(self.memory, "Memory limits are enforced.", "Memory limits are not enforced"),
            _sentence(
                self.processes,
                "The number of processes is limited.",
                "The number of processes is not limited",
            ),
            _sentence(self.sandbox, "Builds run in a bubblewrap sandbox.", "Builds do not run in a sandbox"),
            _sentence(
                self.log_rotation,
                "Logs of instances are rotated.",
                "Logs of instances are not rotated and grow without limit",
            ),
        )


def _sentence(ability: Ability, positive: str, negative: str) -> str:
    return positive if ability else f"{negative}: {ability.reason}."
