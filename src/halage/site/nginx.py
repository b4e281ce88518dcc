"""The configuration of nginx for one instance."""

from collections.abc import Sequence
from pathlib import Path

# A leading dot anywhere but in /.well-known/ (RFC 8615), and what describes a site to its makers.
_HIDDEN = r"""
        location ~ "/\.(?!well-known/)" { return 404; }
        location ~* "^/(halage\.toml|procfile|makefile|dockerfile|artisan|phpunit\.xml|composer\.(json|lock)|package(-lock)?\.json|requirements[^/]*\.txt)(\.dist)?$" { return 404; }
"""  # noqa: E501 - one expression, which nginx cannot break

_TYPES = """
        text/html html htm; text/css css; text/javascript js mjs; text/plain txt text md; text/csv csv;
        text/xml xml; text/calendar ics; text/vtt vtt; application/json json map;
        application/manifest+json webmanifest; application/ld+json jsonld; application/rss+xml rss;
        application/atom+xml atom; application/pdf pdf; application/wasm wasm; application/zip zip;
        application/gzip gz tgz; image/png png; image/jpeg jpg jpeg; image/gif gif; image/webp webp;
        image/avif avif; image/svg+xml svg svgz; image/x-icon ico; font/woff woff; font/woff2 woff2;
        font/ttf ttf; font/otf otf; audio/mpeg mp3; audio/ogg ogg oga; audio/wav wav; video/mp4 mp4 m4v;
        video/webm webm; video/ogg ogv;
"""

# What visitors asked for stands in the headers that the balancer sets; nobody else reaches an instance.
_MAPS = """
    map $http_x_forwarded_proto $site_https { default ""; https on; }
    map $http_x_forwarded_proto $site_scheme { default http; https https; }
    map $http_x_forwarded_proto $site_port { default 80; https 443; }
    map $http_x_forwarded_host $site_host { default $http_x_forwarded_host; "" $http_host; }
"""

_FASTCGI = """
            fastcgi_param GATEWAY_INTERFACE CGI/1.1;
            fastcgi_param SERVER_SOFTWARE nginx;
            fastcgi_param SERVER_PROTOCOL $server_protocol;
            fastcgi_param SERVER_ADDR $server_addr;
            fastcgi_param SERVER_NAME $host;
            fastcgi_param SERVER_PORT $site_port;
            fastcgi_param REMOTE_ADDR $remote_addr;
            fastcgi_param REMOTE_PORT $remote_port;
            fastcgi_param REQUEST_METHOD $request_method;
            fastcgi_param REQUEST_SCHEME $site_scheme;
            fastcgi_param REQUEST_URI $request_uri;
            fastcgi_param QUERY_STRING $query_string;
            fastcgi_param CONTENT_TYPE $content_type;
            fastcgi_param CONTENT_LENGTH $content_length;
            fastcgi_param DOCUMENT_ROOT $document_root;
            fastcgi_param DOCUMENT_URI $document_uri;
            fastcgi_param SCRIPT_NAME $fastcgi_script_name;
            fastcgi_param SCRIPT_FILENAME $document_root$fastcgi_script_name;
            fastcgi_param PATH_INFO $fastcgi_path_info;
            fastcgi_param HTTP_HOST $site_host;
            fastcgi_param HTTPS $site_https if_not_empty;
            fastcgi_param HTTP_PROXY "";
            fastcgi_param REDIRECT_STATUS 200;
"""

_ASSETS = (
    r"\.(css|js|mjs|map|json|webmanifest|png|jpe?g|gif|svg|webp|avif|ico|woff2?|ttf|otf|mp4|webm|mp3|pdf)$"
)
# A name with the digest of its content in it can be kept for ever.
_FINGERPRINTED = (
    r"[.-][0-9a-zA-Z_]*[0-9a-f]{8,}[0-9a-zA-Z_]*\.(css|js|mjs|png|jpe?g|gif|svg|webp|avif|woff2?)$"
)


def configuration(address: str, port: int, private: Path, locations: str) -> str:
    """nginx.conf: one small worker, all its files in `private`, its errors to stderr.

    There is no access log: the balancer writes one, with the instance that answered.
    """
    return f"""\
daemon off;
worker_processes 1;
pid "{private}/nginx.pid";
error_log stderr warn;
worker_shutdown_timeout 10s;
events {{ worker_connections 1024; }}
http {{
    types {{{_TYPES}    }}
    default_type application/octet-stream;
    charset utf-8;
    charset_types text/css text/javascript text/plain text/xml text/csv application/json image/svg+xml
        application/manifest+json application/rss+xml application/atom+xml;
    access_log off;
    log_not_found off;
    server_tokens off;
    absolute_redirect off;
    sendfile on;
    tcp_nopush on;
    keepalive_timeout 75s;
    keepalive_requests 100000;
    client_max_body_size 64m;
    client_body_temp_path "{private}/body";
    proxy_temp_path "{private}/proxy";
    fastcgi_temp_path "{private}/fastcgi";
    uwsgi_temp_path "{private}/uwsgi";
    scgi_temp_path "{private}/scgi";
    gzip on;
    gzip_vary on;
    gzip_min_length 1024;
    gzip_proxied any;
    gzip_types text/css text/javascript text/plain text/xml application/json image/svg+xml
        application/manifest+json application/rss+xml application/atom+xml;
    set_real_ip_from 127.0.0.0/8;
    real_ip_header X-Forwarded-For;
    real_ip_recursive on;
{_MAPS}
    server {{
        listen {address}:{port} backlog=1024;
        server_name _;
        autoindex off;
        etag on;
{_HIDDEN}{locations}
    }}
}}
"""


def static_locations(root: str) -> str:
    """Files as they are: pages are always revalidated, assets kept for an hour, fingerprinted ones a year.

    A page may be asked for without its `.html`. A link to what another user owns is not followed.
    """
    return f"""
        root "{root}";
        index index.html;
        error_page 403 404 =404 /404.html;
        location = /404.html {{ internal; try_files $uri @not_found; }}
        location @not_found {{ default_type text/plain; return 404 "Not found\\n"; }}
        location ~ "{_FINGERPRINTED}" {{
            {_LINKS}
            try_files $uri =404;
            add_header Cache-Control "public, max-age=31536000, immutable";
        }}
        location ~ "{_ASSETS}" {{
            {_LINKS}
            try_files $uri =404;
            add_header Cache-Control "public, max-age=3600";
        }}
        location / {{
            {_LINKS}
            try_files $uri $uri.html $uri/ =404;
            add_header Cache-Control "no-cache";
        }}
"""


def laravel_locations(root: str, socket: Path) -> str:
    """Files of public/, and index.php for everything else; no other PHP file is ever run."""
    return f"""
        root "{root}";
        location / {{
            {_LINKS}
            try_files $uri /index.php$is_args$args;
        }}
        location = /index.php {{
{_fastcgi(socket)}        }}
        location ~ "\\.php(/|$)" {{ return 404; }}
"""


def php_locations(root: str, socket: Path, uploads: Sequence[str]) -> str:
    """Files and PHP files as they are asked for, and index.php for what is neither (but assets).

    Below `uploads` (URLs of persistent paths) files are served and never run.
    """
    return f"""
        root "{root}";
        index index.php index.html;
{"".join(_upload_location(url) for url in uploads)}
        location ~ "^/(vendor|node_modules|tests)/" {{ return 404; }}
        location ~ "[^/]\\.php(/|$)" {{
            fastcgi_split_path_info "^(.+?\\.php)(/.*)?$";
            if (!-f $document_root$fastcgi_script_name) {{ return 404; }}
{_fastcgi(socket)}        }}
        location ~* "{_ASSETS}" {{
            {_LINKS}
            try_files $uri =404;
        }}
        location / {{
            try_files $uri $uri/ /index.php$is_args$args;
        }}
"""


_LINKS = "disable_symlinks if_not_owner from=$document_root;"


def _upload_location(url: str) -> str:
    return f"""\
        location ^~ "{url}" {{
            location ~ "\\.(ph[a-z0-9]+|inc)(/|$)" {{ return 404; }}
            location ~ "/\\." {{ return 404; }}
            {_LINKS}
            try_files $uri =404;
        }}
"""


def _fastcgi(socket: Path) -> str:
    return f"""\
            fastcgi_pass "unix:{socket}";
            fastcgi_index index.php;
            fastcgi_read_timeout 120s;
            fastcgi_buffers 16 16k;
            fastcgi_buffer_size 32k;{_FASTCGI}"""
