"""What a release is configured with, frozen into its row: the site, and the variables set by people."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from halage.site.document import site_from_document, site_to_document
from halage.site.model import EnvironmentPlan, Site


class Sealer(Protocol):
    """Seals secrets for the database and opens them for an instance."""

    def seal(self, text: str) -> str:
        """Encrypt."""
        ...

    def open(self, sealed: str) -> str:
        """Decrypt."""
        ...


@dataclass(frozen=True, slots=True)
class StoredVariable:
    """A variable as it is stored: a secret one sealed."""

    value: str
    is_secret: bool


@dataclass(frozen=True, slots=True)
class Configuration:
    """Everything but the bundle that decides how an instance of a release runs."""

    site: Site
    """With what is set on the server, over what halage.toml says: what holds."""
    variables: Mapping[str, StoredVariable]
    settings: Mapping[str, Any] = field(default_factory=dict)
    """What is set on the server, by path; addresses are sealed."""
    said: Site | None = None
    """What halage.toml says, where that is another thing."""

    @property
    def base(self) -> Site:
        """What halage.toml says, for the next release."""
        return self.said or self.site

    def plan(self, environment: str) -> EnvironmentPlan:
        """The plan of one environment; a default one when the site does not name it."""
        return self.site.environments.get(environment) or EnvironmentPlan(environment)

    def wanted(self, environment: str, scaled: int | None) -> int:
        """How many instances shall serve: the number that it was scaled to, else what halage.toml says."""
        if scaled is not None:
            return scaled
        plan = self.plan(environment)
        return plan.scaling.within(plan.instances)

    def to_document(self) -> dict[str, Any]:
        """As plain JSON values, secrets still sealed."""
        variables = {name: [v.value, v.is_secret] for name, v in self.variables.items()}
        document: dict[str, Any] = {"site": site_to_document(self.site), "variables": variables}
        if self.settings:
            document["settings"] = dict(self.settings)
            document["said"] = site_to_document(self.base)
        return document

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> "Configuration":
        """The configuration that `to_document` gave."""
        variables = {name: StoredVariable(*stored) for name, stored in document["variables"].items()}
        said = document.get("said")
        return cls(
            site_from_document(document["site"]),
            variables,
            document.get("settings", {}),
            site_from_document(said) if said is not None else None,
        )

    def environment(self, environment: str, sealer: Sealer) -> dict[str, str]:
        """The variables of an instance: the site's, its environment's, then people's, opened."""
        opened = {
            name: sealer.open(stored.value) if stored.is_secret else stored.value
            for name, stored in self.variables.items()
        }
        return {**self.site.variables, **(self.plan(environment).variables or {}), **opened}
