"""Where branches go."""

import pytest

from halage.site.errors import SiteInvalid
from halage.site.flow import stages_for
from tests.rules.site.trees import site_of


def _way(branch: str, toml: str = "") -> str:
    return " ".join(stages_for(site_of(toml).flow, branch))


@pytest.mark.parametrize(
    ("branch", "way"),
    [
        ("main", "test dev preprod approval prod"),
        ("master", "test dev preprod approval prod"),
        ("develop", "test dev"),
        ("release/1.2", "test preprod"),
        ("hotfix/login", "test preprod"),
        ("feature/a/b", "test"),
        ("main2", "test"),
        ("[main]", "test"),
        ("Main", "test"),
    ],
)
def test_git_flow_is_the_default(branch: str, way: str) -> None:
    assert _way(branch) == way


@pytest.mark.parametrize(
    ("toml", "branch", "way"),
    [
        ("[flow]\nmain = ['test', 'prod']", "main", "test approval prod"),
        ("[flow]\nmain = ['test', 'approval', 'prod']", "main", "test approval prod"),
        ("[flow]\nmain = ['test', 'prod']", "develop", "test dev"),
        ("[flow]\n'*' = ['test']\nmain = ['test', 'dev']", "main", "test dev"),
        ("[flow]\n'*' = ['test']", "develop", "test"),
        ("[flow]\n'team/*' = ['test', 'dev']", "team/a", "test dev"),
        ("[environments.prod]\napproval = false", "main", "test dev preprod prod"),
        ("[environments.dev]\napproval = true", "develop", "test approval dev"),
        ("[environments.preprod]\napproval = true", "main", "test dev approval preprod approval prod"),
        ("[environments.prod]\napproval = false\n[flow]\nmain = ['test', 'approval', 'prod']",
         "main", "test approval prod"),
        ("[environments.dev]\nbranch = 'develop'", "main", "test preprod approval prod"),
        ("[environments.dev]\nbranch = 'develop'", "develop", "test dev"),
        ("[environments.prod]\nbranch = 'stable'", "stable", "test approval prod"),
        ("[environments.prod]\nbranch = 'stable'", "main", "test dev preprod"),
        ("[environments.prod]\nbranch = ['stable', 'lts/*']", "lts/1", "test approval prod"),
        ("[environments.prod]\nbranch = 'main'\n[environments.staging]\nbranch = 'main'",
         "main", "test staging approval prod"),
        ("[environments.staging]\n[flow]\nmain = ['test', 'staging']", "main", "test staging"),
    ],
)  # fmt: skip
def test_a_site_may_say_otherwise(toml: str, branch: str, way: str) -> None:
    assert _way(branch, toml) == way


@pytest.mark.parametrize(
    ("toml", "words"),
    [
        ("[flow]\nmain = ['dev']", 'a list that starts with "test"'),
        ("[flow]\nmain = []", 'a list that starts with "test"'),
        ("[flow]\nmain = ['test', 'prd']", "Did you mean `prod`?"),
        ("[flow]\nmain = ['test', 'approval']", 'an environment after each "approval"'),
        ("[flow]\nmain = ['test', 'approval', 'approval', 'prod']", 'an environment after each "approval"'),
        ("[flow]\nmain = ['test', 'dev', 'dev']", "each environment once"),
        ("[flow]\n'a b' = ['test']", 'a branch such as "main"'),
        ("[flow]\nmain = 'test'", "a list such as"),
        ("[environments.dev]\nbranch = 'x'\n[flow]\nx = ['test', 'dev']", "not both"),
        ("[environments.dev]\nbranch = ''", 'a branch such as "main"'),
    ],
)
def test_a_flow_that_makes_no_sense_is_refused(toml: str, words: str) -> None:
    with pytest.raises(SiteInvalid) as caught:
        site_of(toml)
    assert words in str(caught.value)
