"""The shell script that holds nginx and php-fpm together as one instance."""

import shlex
from collections.abc import Sequence
from pathlib import Path

_HEAD = """\
# Serves one instance: when one of its servers ends, the other is ended and so is the instance.
# On TERM the requests under way may end. /bin/sh may be any POSIX shell.
set -u
umask 077
stopping= failed= nginx=
trap 'stopping=1; quit "$nginx"' TERM INT HUP
trap 'failed=1; quit "$nginx"' USR1

quit() {
    [ -z "$1" ] || kill -s QUIT "$1" 2>/dev/null || :
}

# Waits for the very end of a process: a signal with a trap ends `wait` before it.
await() {
    while kill -0 "$1" 2>/dev/null; do
        wait "$1" && code=0 || code=$?
    done
}

# Becomes a server in a session of its own, as php-fpm would by itself, so that a TERM to the whole
# group reaches only the shells, which end the servers in order. The death signal ends a server when
# SIGKILL took the shell that looks after it. A shell starts what is beside it with QUIT ignored, so
# one that comes before the server has set its signals would be lost: hence the default.
launch() {
    exec setsid env --default-signal=INT,QUIT setpriv --pdeathsig TERM "$@"
}

# Ends what a server left behind, by the number of its group.
clear() {
    kill -s KILL -- "-$1" 2>/dev/null || :
}

require() {
    command -v "$1" >/dev/null && return
    echo "halage: $1 is not installed on this machine; install it with: apt install $2" >&2
    exit 127
}
"""

_PHP_START = """
find_php_fpm() {
    for php_fpm in php-fpm /usr/sbin/php-fpm[0-9]* /usr/local/sbin/php-fpm[0-9]*; do
        ! command -v "$php_fpm" >/dev/null || return 0
    done
    require php-fpm php-fpm
}

# Runs php-fpm and tells the main shell ($$) when it has ended by itself.
run_php_fpm() {
    php= quitting=
    trap '' TERM INT HUP
    trap 'quitting=1; quit "$php"' USR2
    launch "$php_fpm" --nodaemonize --force-stderr $as_root --fpm-config "$private/php-fpm.conf" \\
        -d opcache.memory_consumption=48 -d opcache.interned_strings_buffer=8 \\
        -d opcache.lockfile_path="$private" &
    php=$!
    [ -z "$quitting" ] || quit "$php"
    await "$php"
    clear "$php"
    [ -n "$quitting" ] && exit 0
    echo "halage: php-fpm ended by itself (code $code), so this instance ends" >&2
    kill -s USR1 $$
    exit 1
}

find_php_fpm
rm -f "$private/php.sock"
( run_php_fpm ) &
php_shell=$!
"""

_NGINX_START = """
if [ -z "$stopping$failed" ]; then
    launch nginx -e stderr -p "$private/" -c "$private/nginx.conf" ${as_root:+-g 'user root;'} &
    nginx=$!
    [ -z "$stopping$failed" ] || quit "$nginx"
    await "$nginx"
    clear "$nginx"
    [ -n "$stopping$failed" ] || echo "halage: nginx ended by itself (code $code), so this instance ends" >&2
fi
"""

_PHP_END = """\
kill -s USR2 "$php_shell" 2>/dev/null || :
await "$php_shell"
"""

_TAIL = """\
[ -n "$stopping" ] && [ -z "$failed" ] && exit 0
exit 1
"""


def script(private: Path, *, has_php: bool, preparation: Sequence[str] = ()) -> str:
    """A script that serves until TERM (exit code 0), or until a server ends by itself (1).

    On TERM nginx stops to listen and ends its requests first, then php-fpm. `preparation` is lines
    of shell to run before.
    """
    setting = [
        f"private={shlex.quote(str(private))}",
        # nginx and php-fpm must be told when they are to stay root; other users cannot be.
        'as_root=; [ "$(id -u)" != 0 ] || as_root=--allow-to-run-as-root',
        "require nginx nginx-light",
        *preparation,
    ]
    php = (_PHP_START, _PHP_END) if has_php else ("", "")
    return "".join([_HEAD, "\n".join(setting), "\n", php[0], _NGINX_START, php[1], _TAIL])
