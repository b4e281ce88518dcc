"""What a journal may say of a command."""

import pytest

from halage.environment.execution.spoken import LONGEST, spoken


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
        (("mysql", "-popen-sesame", "shop"), "mysql '-p[secret]' shop"),
        (("mysql", "-phunter2", "shop"), "mysql '-p[secret]' shop"),
        (("mysql", "-p", "shop"), "mysql -p shop"),
        (("/usr/bin/mysqldump", "-P", "3306", "-ph=2", "s"), "/usr/bin/mysqldump -P 3306 '-p[secret]' s"),
        (("cp", "-phunter", "a"), "cp -phunter a"),
        (
            ("sh", "-c", "cd a && mysql -ushop -phunter2 shop|wc -p1"),
            "sh -c 'cd a && mysql -ushop -p[secret] shop|wc -p1'",
        ),
        (("sh", "-c", "mysql --password 'h u' shop"), "sh -c 'mysql --password [secret] shop'"),
        (("redis-cli", "-a", "hunter2", "PING"), "redis-cli -a [secret] PING"),
        (("sshpass", "-p", "hunter2", "ssh", "a"), "sshpass -p [secret] ssh a"),
        (("curl", "-u", "ada:hunter2", "x"), "curl -u 'ada:[secret]' x"),
        (("curl", "-H", "Authorization: Bearer abc"), "curl -H 'Authorization: [secret]'"),
        (("sh", "-c", 'curl -H "X-Api-Key: abc" x'), "sh -c 'curl -H \"X-Api-Key: [secret]\" x'"),
        (("mysql", "-pa b", "x"), "mysql '-p[secret]' x"),
        (("echo", "-xk9", "k9", "k99"), "echo '-x[secret]' [secret] k99"),
        (("curl", "http://x/?key=p%24%2F%20w"), "curl 'http://x/?key=[secret]'"),
        (("sh", "-c", "echo p\\$/\\ w"), "sh -c 'echo [secret]'"),
        (("echo", "p$/", "w"), "echo 'p$/' w"),
        (("printf", "\x1b[31m\n"), "printf '\x1b[31m\n'"),
    ],
)
def test_secrets_are_left_out(words: tuple[str, ...], said: str) -> None:
    assert spoken(words, ["open-sesame", "k9", "p$/ w", ""]) == said


def test_a_long_command_is_cut_off_and_read_once() -> None:
    for long in ("a" * 1_000_000, "--" * 500_000, "a:" * 500_000, "'\"" * 500_000, "a=b " * 300_000):
        told = spoken(("echo", long, "hunter2"), ["open-sesame"])
        assert len(told) < 2 * LONGEST
        assert "hunter2" not in told
    assert spoken(("echo", "x" * (LONGEST - 12) + "open-sesame"), ["open-sesame"]).count("sesame") == 0
