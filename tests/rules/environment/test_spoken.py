"""What a journal may say of a command."""

import pytest

from halage.environment.execution.spoken import spoken


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), ""),
        (("php", "artisan", "migrate:status"), "php artisan migrate:status"),
        (("echo", "two words"), "echo 'two words'"),
        (("echo", "open-sesame"), "echo [secret]"),
        (("echo", "x open-sesame y"), "echo 'x [secret] y'"),
        (("mysql", "--password=hunter2", "shop"), "mysql '--password=[secret]' shop"),
        (("mysql", "--password", "hunter2", "shop"), "mysql --password [secret] shop"),
        (("curl", "--api-key", "abc"), "curl --api-key [secret]"),
        (("env", "DB_PASSWORD=hunter2", "DEBUG=1", "./run"), "env 'DB_PASSWORD=[secret]' DEBUG=1 ./run"),
        (("sh", "-c", "APP_KEY='a b' ./run"), "sh -c 'APP_KEY=[secret] ./run'"),
        (("psql", "postgresql://shop:hunter2@db/shop"), "psql 'postgresql://shop:[secret]@db/shop'"),
        (("curl", "http://localhost:8080/a@b"), "curl http://localhost:8080/a@b"),
        (("--token",), "--token"),
        (("printf", "\x1b[31m\n"), "printf '\x1b[31m\n'"),
    ],
)
def test_secrets_are_left_out(words: tuple[str, ...], said: str) -> None:
    assert spoken(words, ["open-sesame"]) == said
