"""The settings: where they come from, what is refused and how, and that the reference tells the truth."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from halage.assembly.errors import SettingsInvalid
from halage.assembly.settings import Address, Settings
from halage.assembly.settings_sources import (
    Machine,
    config_file,
    environment_name,
    load_settings,
    setting_keys,
)
from halage.base.errors import Invalid
from halage.compute.model import STANDARD_TYPES, InstanceType

REFERENCE = Path(__file__).parents[3] / "docs" / "reference" / "halage-settings.toml"
ROOT = Machine(is_root=True, home=Path("/root"), cores=2)
ADA = Machine(is_root=False, home=Path("/home/ada"), cores=8)
NO_FILE = {"XDG_CONFIG_HOME": "/nowhere"}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "halage.toml"


def load(file: Path | None = None, environ: dict[str, str] | None = None, **flags: Any) -> Settings:
    given = {name.replace("__", "."): value for name, value in flags.items()}
    return load_settings({**given, "config": file}, {**NO_FILE, **(environ or {})}, ADA)


def refused(file: Path | None = None, environ: dict[str, str] | None = None, **flags: Any) -> str:
    with pytest.raises(SettingsInvalid) as caught:
        load(file, environ, **flags)
    assert isinstance(caught.value, Invalid)
    return caught.value.message


def value_at(settings: BaseModel, key: str) -> Any:
    value: Any = settings
    for part in key.split("."):
        value = value[part] if isinstance(value, dict) else getattr(value, part)
    return value


# -- defaults


def test_the_defaults_of_an_ordinary_user() -> None:
    settings = load()
    assert settings.data == Path("/home/ada/.local/share/halage")
    assert settings.listen == ("127.0.0.1", 7070)
    assert settings.http == ("127.0.0.1", 8080)
    assert settings.domain == "localhost"
    assert settings.public_url == "http://127.0.0.1:7070"
    assert settings.database == "sqlite:////home/ada/.local/share/halage/halage.db"
    assert settings.builds.concurrent == 8
    assert settings.instance_types == STANDARD_TYPES


def test_where_data_and_settings_are_kept() -> None:
    assert load_settings({"config": REFERENCE}, {}, ROOT).data == Path("/var/lib/halage")
    assert load(environ={"XDG_DATA_HOME": "/xdg"}).data == Path("/xdg/halage")
    assert config_file({}, ROOT) == Path("/etc/halage/halage.toml")
    assert config_file({}, ADA) == Path("/home/ada/.config/halage/server.toml")
    assert config_file({"XDG_CONFIG_HOME": "/xdg"}, ADA) == Path("/xdg/halage/server.toml")


def test_the_file_is_found_in_its_place(tmp_path: Path) -> None:
    (tmp_path / "halage").mkdir()
    (tmp_path / "halage" / "server.toml").write_text('domain = "example.org"')
    assert load(environ={"XDG_CONFIG_HOME": str(tmp_path)}).domain == "example.org"


@pytest.mark.parametrize(
    ("listen", "domain", "url"),
    [
        ("127.0.0.1:7071", "localhost", "http://127.0.0.1:7071"),
        ("0.0.0.0:80", "example.org", "http://example.org:80"),
        ("[::]:7070", "example.org", "http://example.org:7070"),
        ("[::1]:7070", "example.org", "http://[::1]:7070"),
        ("halage.internal:7070", "example.org", "http://halage.internal:7070"),
    ],
)
def test_the_public_url_follows_from_where_it_listens(listen: str, domain: str, url: str) -> None:
    assert load(listen=listen, domain=domain).public_url == url


def test_the_public_url_can_be_set() -> None:
    assert load(public_url="https://halage.example.org/").public_url == "https://halage.example.org"


# -- precedence


@pytest.mark.parametrize("level", range(8))
def test_flags_win_over_the_environment_and_that_over_the_file(file: Path, level: int) -> None:
    in_file, in_environment, in_flags = level & 1, level & 2, level & 4
    file.write_text('[log]\nlevel = "debug"\n' if in_file else "")
    environ = {"HALAGE_LOG_LEVEL": "warning"} if in_environment else {}
    flags = {"log__level": "error"} if in_flags else {"log__level": None}
    expected = "error" if in_flags else "warning" if in_environment else "debug" if in_file else "info"
    assert load(file, environ, **flags).log.level == expected


def test_what_is_not_said_higher_up_stays_as_it_was_said_below(file: Path) -> None:
    file.write_text("[builds]\ncpu = 3\nmemory_mib = 100\n")
    settings = load(file, {"HALAGE_BUILDS_MEMORY_MIB": "200"}, builds__processes=99)
    assert (settings.builds.cpu, settings.builds.memory_mib, settings.builds.processes) == (3, 200, 99)


def test_the_file_is_named_by_flag_or_else_by_environment(file: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.toml"
    file.write_text('domain = "flag.org"')
    other.write_text('domain = "variable.org"')
    assert load(None, {"HALAGE_CONFIG": str(other)}).domain == "variable.org"
    assert load(file, {"HALAGE_CONFIG": str(other)}).domain == "flag.org"


@pytest.mark.parametrize("key", setting_keys())
def test_each_setting_has_a_variable_of_its_own(key: str) -> None:
    default = value_at(load(), key)
    other = _another(key, default)
    changed = value_at(load(environ={environment_name(key): other}), key)
    assert changed != default
    assert (
        ",".join(changed)
        if isinstance(changed, tuple) and not isinstance(changed, Address)
        else str(changed).lower()
    ) == other


def _another(key: str, default: Any) -> str:
    if isinstance(default, bool):
        return str(not default).lower()
    if isinstance(default, int | float):
        return str(default + 1)
    return {
        "listen": "127.0.0.9:9999",
        "http": "127.0.0.9:9999",
        "https": "127.0.0.9:9999",
        "console.host": "halage.example.org",
        "console.https": "off",
        "data": "/srv/halage",
        "domain": "example.org",
        "public_url": "https://example.org",
        "database": "postgresql+psycopg://halage@db/halage",
        "log.level": "debug",
        "log.format": "json",
        "builds.sandbox": "plain",
        "builds.passed_variables": "A,b_1",
        "metrics.statsd": "127.0.0.9:9999",
        "metrics.remote_write": "https://example.org/write",
        "messages.to": "mailto://ada@example.org,json://example.org",
    }[key]


def test_variables_are_named_apart() -> None:
    names = [environment_name(key) for key in setting_keys()]
    assert len(set(names)) == len(names)


def test_types_are_added_and_changed(file: Path) -> None:
    file.write_text("[types.large]\ncpu = 4\nmemory_mib = 4096\n[types.nano]\nmemory_mib = 64\n")
    types = load(file).instance_types
    assert types["large"] == InstanceType("large", 4, 4096)
    assert types["nano"] == InstanceType("nano", 0.25, 64)
    assert types["micro"] == STANDARD_TYPES["micro"]


def test_a_list_in_a_variable_is_separated_by_commas_or_blanks() -> None:
    for text, names in {"A, B  C,": ("A", "B", "C"), "": ()}.items():
        settings = load(environ={"HALAGE_BUILDS_PASSED_VARIABLES": text})
        assert settings.builds.passed_variables == names


def test_settings_do_not_change() -> None:
    with pytest.raises(ValidationError):
        load().domain = "example.org"


# -- what is refused


@pytest.mark.parametrize(
    ("document", "parts"),
    [
        ("listn = 1", ["listn", "unknown key", "listen"]),
        ("[builds]\nconcurent = 1", ["builds.concurent", "unknown key", "builds.concurrent"]),
        ("concurrent = 1", ["concurrent", "unknown key", "builds.concurrent"]),
        ("[bilds]\ncpu = 1", ["bilds", "unknown key", "builds"]),
        ("[xyzzy]\ncpu = 1", ["xyzzy", "unknown key", "listen, http"]),
        (
            "[types.big]\ncpus = 1\nmemory_mib = 512\ncpu = 1",
            ["types.big.cpus", "unknown key", "types.big.cpu"],
        ),
        ("[types.big]\ncpu = 1", ["types.big.memory_mib", "nothing", "MiB, 16 or more"]),
        ('[types."Big Box"]\ncpu = 1\nmemory_mib = 512', ["types.Big Box", "lower-case"]),
        ("types = 3", ["types", "3", "[types.NAME]"]),
        ("builds = 3", ["builds", "3", "[builds]"]),
        ("[builds]\nconcurrent = 0", ["builds.concurrent", "0", "1 to 256"]),
        ('[builds]\nmemory_mib = "lots"', ["builds.memory_mib", "'lots'", "MiB"]),
        ("[builds]\nmemory_mib = 100.5", ["builds.memory_mib", "100.5", "whole"]),
        ("[builds]\ncpu = nan", ["builds.cpu", "nan", "above 0"]),
        ("[builds]\ncpu = inf", ["builds.cpu", "inf", "above 0"]),
        ('[builds]\nsandbox = "docker"', ["builds.sandbox", "'docker'", '"bubblewrap"']),
        ('[builds]\nnetwork = "maybe"', ["builds.network", "'maybe'", "true or false"]),
        ('[log]\nlevel = "loud"', ["log.level", "'loud'", '"warning"']),
        ('[builds]\npassed_variables = ["A", "B=C"]', ["builds.passed_variables", "B=C", "a list of names"]),
        ("[releases]\nkeep = 0", ["releases.keep", "0", "1 to 1000"]),
        ("[deployments]\ndeadline_s = 1", ["deployments.deadline_s", "1", "10 to 86400"]),
        ("[sessions]\nidle_s = 3600\nlifetime_s = 600", ["sessions.lifetime_s", "600", "not less than"]),
        ('http = "127.0.0.1:7070"', ["http", "127.0.0.1:7070", "another one"]),
        ("data = 5", ["data", "5", "directory"]),
        ('database = "mysql://u:hunter2@h/n"', ["database", "postgresql+psycopg"]),
        ('database = "sqlite:///halage.db"', ["database", "sqlite:////absolute"]),
        ('database = "hunter2"', ["database", "sqlite:////absolute"]),
        ('public_url = "halage.org"', ["public_url", "'halage.org'", "https://"]),
        ('public_url = "https://halage.org/under"', ["public_url", "https://"]),
        ('public_url = "https://me:hunter2@halage.org"', ["public_url", "https://"]),
        ('domain = "http://x"', ["domain", "'http://x'", "sites.example.org"]),
        ('domain = "-a.org"', ["domain", "sites.example.org"]),
    ],
)
def test_a_message_names_file_key_found_and_allowed(file: Path, document: str, parts: list[str]) -> None:
    file.write_text(document)
    message = refused(file)
    for part in (str(file), *parts):
        assert part in message
    assert message.count("\n") == 1, "one problem, and nothing that follows from it"


@pytest.mark.parametrize(
    "listen",
    ["7070", ":7070", "localhost", "localhost:", "localhost:x", "localhost:65536", "localhost:-1", "::1:x",
     "a b:1", "http://x:1", "[zz]:1", "localhost:70\u06670", "[::1:7070"],
)  # fmt: skip
def test_an_address_is_host_and_port(listen: str) -> None:
    assert "HOST:PORT" in refused(listen=listen)


def test_addresses_that_can_be_listened_on() -> None:
    for text, address in {
        "127.0.0.1:0": ("127.0.0.1", 0),
        "localhost:1": ("localhost", 1),
        "[::1]:65535": ("::1", 65535),
    }.items():
        settings = load(listen=text)
        assert settings.listen == address
        assert str(settings.listen) == text


def test_all_problems_are_listed_at_once_with_their_places(file: Path) -> None:
    file.write_text('listn = 1\n[log]\nlevel = "loud"\n')
    message = refused(file, {"HALAGE_BUILDS_CPU": "x", "HALAGE_DOMAN": "y"}, http="z")
    assert [line.strip().split(": found")[0] for line in sorted(message.splitlines()[1:])] == sorted(
        [
            f"{file}: listn",
            f"{file}: log.level",
            "environment: HALAGE_BUILDS_CPU",
            "environment: HALAGE_DOMAN",
            "command line: --http",
        ]
    )


def test_a_mistyped_variable_is_refused_with_the_nearest_one() -> None:
    assert "HALAGE_LISTEN" in refused(environ={"HALAGE_LISTN": "x"})
    assert "HALAGE_DATABASE" in refused(environ={"HALAGE_DATABASE_URL": "x"})


def test_variables_of_the_command_line_and_of_instances_are_not_settings() -> None:
    others = ("URL", "TOKEN", "PROFILE", "OUTPUT", "PROJECT", "ENVIRONMENT", "RELEASE", "COMMIT", "RUN",
              "UNIT", "INSTANCE", "JOB", "PUSH", "PUSH_IN", "PUSH_OUT")  # fmt: skip
    assert load(environ={f"HALAGE_{name}": "x" for name in others}) == load()


def test_a_file_that_is_named_must_be_there(tmp_path: Path) -> None:
    missing = tmp_path / "missing.toml"
    assert str(missing) in refused(missing)
    assert str(missing) in refused(None, {"HALAGE_CONFIG": str(missing)})
    assert str(tmp_path) in refused(tmp_path)


@pytest.mark.parametrize("content", [b'database = "hunter2', b"\xff\xfe", b"= 3"])
def test_a_file_that_is_no_toml_says_so(file: Path, content: bytes) -> None:
    file.write_bytes(content)
    message = refused(file)
    assert str(file) in message
    assert "hunter2" not in message


def test_a_password_in_the_database_is_not_shown(file: Path) -> None:
    file.write_text('database = "mysql://halage:hunter2@db/halage"')
    assert "hunter2" not in refused(file)
    settings = load(database="postgresql+psycopg://halage:hunter2@db/halage")
    assert "hunter2" in settings.database
    assert "hunter2" not in repr(settings) + str(settings)


def test_a_flag_that_is_no_setting_is_a_mistake_of_ours() -> None:
    with pytest.raises(ValueError, match="listn"):
        load(listn="x")


# -- the reference


def _reference() -> dict[str, Any]:
    """The document with every commented setting in force."""
    text = re.sub(r"^#(?=[a-z_]+ = )", "", REFERENCE.read_text(), flags=re.MULTILINE)
    return tomllib.loads(text)


def _leaves(document: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    leaves = {}
    for name, value in document.items():
        if isinstance(value, dict):
            leaves.update(_leaves(value, f"{prefix}{name}."))
        else:
            leaves[prefix + name] = value
    return leaves


def test_the_reference_as_it_is_sets_nothing() -> None:
    assert load_settings({"config": REFERENCE}, {}, ROOT) == load_settings({"config": "/dev/null"}, {}, ROOT)


def test_the_reference_describes_every_setting_and_no_other() -> None:
    described = {key for key in _leaves(_reference()) if not key.startswith("types.")}
    assert described == set(setting_keys())


def test_the_reference_shows_the_real_defaults(file: Path) -> None:
    settings = load_settings({"config": "/dev/null"}, {}, ROOT)
    for key, shown in _leaves(_reference()).items():
        real = value_at(settings, key)
        assert shown == _as_toml(real), key
    names = {key.split(".")[1] for key in _leaves(_reference()) if key.startswith("types.")}
    assert names == set(STANDARD_TYPES)


def _as_toml(value: Any) -> Any:
    if value is None:
        return ""
    if isinstance(value, Path | Address):
        return str(value)
    return list(value) if isinstance(value, tuple) else value


def test_the_reference_can_be_used_with_everything_in_force(file: Path) -> None:
    file.write_text(re.sub(r"^#(?=[a-z_]+ = )", "", REFERENCE.read_text(), flags=re.MULTILINE))
    assert load_settings({"config": file}, {}, ROOT) == load_settings({"config": "/dev/null"}, {}, ROOT)


def test_every_setting_says_what_is_allowed() -> None:
    def fields(table: type[BaseModel]) -> None:
        for name, field in table.model_fields.items():
            assert field.description, name
            if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
                fields(field.annotation)

    fields(Settings)
