"""What `halage check` tells: the configuration in force, in lines that a person reads."""

from collections.abc import Collection
from pathlib import Path

from halage.site.model import EnvironmentPlan, Kind, Site
from halage.site.read import read_site
from halage.site.settings import Policy
from halage.site.tree import DirectoryTree
from halage.site.values import duration


def check_directory(path: Path, types: Collection[str]) -> Site:
    """The site in a working copy. Raises SiteInvalid with every problem; OSError for no directory."""
    return read_site(DirectoryTree(path), types=types)


def summary_of(site: Site) -> list[tuple[str, str]]:
    """The configuration in force as pairs of a name and what it is; a value may hold several lines."""
    test = site.test
    pairs = [
        ("kind", str(site.kind)),
        ("build", _commands(site.build.commands, site.build.timeout_s, "nothing to build")),
        (
            "test",
            _commands(test.commands, test.timeout_s, "no tests" + (", refused" if test.required else "")),
        ),
        ("release command", site.run.release_command or "none"),
        ("start", site.run.start or _served_by(site)),
        ("persistent", "\n".join(site.run.persistent) or "nothing"),
        ("metrics", f"GET {site.run.metrics}" if site.run.metrics else "none of its own"),
        ("variables", "\n".join(sorted(site.variables)) or "none"),
    ]
    pairs += [(f"environment {name}", _environment(plan)) for name, plan in site.environments.items()]
    pairs += [(f"branch {rule.pattern}", " → ".join(rule.stages)) for rule in site.flow]
    return pairs


def _commands(commands: tuple[str, ...], timeout_s: float, none: str) -> str:
    return "\n".join([*commands, f"within {duration(timeout_s)}"]) if commands else none


def _served_by(site: Site) -> str:
    root = "the root" if site.run.document_root == "." else f"{site.run.document_root}/"
    if site.run.php_development_server:
        return f"PHP's development server from {root}"
    return f"{'nginx' if site.kind is Kind.STATIC else 'php-fpm behind nginx'} from {root}"


def _environment(plan: EnvironmentPlan) -> str:
    count = "1 instance" if plan.instances == 1 else f"{plan.instances} instances"
    health = plan.health
    lines = [
        f"{count} of type {plan.type}{', after an approval' if plan.approval else ''}",
        f"healthy when GET {health.path} answers within {duration(health.timeout_s)}, "
        f"asked every {duration(health.interval_s)}",
    ]
    if plan.deployments.policy is not Policy.ROLLING_ADDITIONAL:
        lines.append(f"deployed {plan.deployments.policy.replace('_', ' ')}")
    lines += [f"{each.name}: {each.instances} of {each.command}" for each in plan.processes]
    said = sorted(
        {path.partition(".")[0] for path in plan.said} & {"scaling", "balancer", "network", "schedule"}
    )
    if said:
        lines.append(f"with settings of {', '.join(said)}")
    if plan.detailed_monitoring:
        lines.append("measured every second")
    return "\n".join([*lines, *(f"also at {domain}" for domain in plan.domains)])
