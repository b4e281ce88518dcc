"""The configuration of php-fpm for one instance, and the router of PHP's development server."""

import json
from pathlib import Path

_CHILD_MIB = 40
_REST_MIB = 48
_MOST_CHILDREN = 32


def children_for(memory_mib: int) -> int:
    """How many PHP processes fit into an instance of this size: at least 2, about 40 MiB each.

    48 MiB are kept for nginx, the master process and the compiled code that all share.
    """
    return min(_MOST_CHILDREN, max(2, (memory_mib - _REST_MIB) // _CHILD_MIB))


def configuration(private: Path, sessions: Path, memory_mib: int) -> str:
    """php-fpm.conf: one pool on a socket in `private`, all output to the instance's own.

    /dev/null as the error log with --force-stderr makes php-fpm write to the stderr that it was
    given: it would open any other name anew, which another user's file refuses. PHP processes are
    started on demand, so an idle instance is small.
    """
    return f"""\
[global]
daemonize = no
error_log = /dev/null
log_level = warning
log_limit = 8192
process_control_timeout = 10s

[site]
user = root
group = root
listen = "{private}/php.sock"
listen.mode = 0600
listen.backlog = 511
pm = ondemand
pm.max_children = {children_for(memory_mib)}
pm.process_idle_timeout = 60s
pm.max_requests = 1000
clear_env = no
catch_workers_output = yes
decorate_workers_output = no
security.limit_extensions = .php
php_value[memory_limit] = {max(64, memory_mib // 2)}M
php_value[upload_max_filesize] = 64M
php_value[post_max_size] = 64M
php_value[session.save_path] = "{sessions}"
php_value[session.gc_probability] = 1
php_value[session.gc_divisor] = 1000
php_value[session.cookie_httponly] = 1
php_value[session.cookie_samesite] = Lax
php_value[session.use_strict_mode] = 1
php_admin_value[sys_temp_dir] = "{private}"
php_admin_value[upload_tmp_dir] = "{private}"
php_admin_flag[expose_php] = off
php_admin_flag[log_errors] = on
php_flag[display_errors] = off
"""


def router(root: str) -> str:
    """A router for `php -S` that serves files as nginx would: none that starts with a dot."""
    return f"""\
<?php
$root = {json.dumps(root)};
$path = rawurldecode(parse_url($_SERVER['REQUEST_URI'], PHP_URL_PATH) ?: '/');
if (preg_match('#/\\.(?!well-known/)|^/(halage\\.toml|Procfile)$#', $path)) {{
    http_response_code(404);
    echo 'Not found';
    return true;
}}
if ($path !== '/' && is_file($root . $path)) {{
    return false;
}}
if (!is_file("$root/index.php")) {{
    return false;
}}
$_SERVER['SCRIPT_NAME'] = '/index.php';
$_SERVER['SCRIPT_FILENAME'] = "$root/index.php";
require "$root/index.php";
"""
