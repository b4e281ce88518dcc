"""What a visitor reads when no site answers: plain, small, nothing about the server."""

TYPE = "text/html; charset=utf-8"
FORBIDDEN = "page-403.html"
NOT_FOUND = "page-404.html"
MISDIRECTED = "page-421.html"
FAILED = "page-502.html"
UNAVAILABLE = "page-503.html"
LATE = "page-504.html"

# The host is shown only where the map knew it (no other reaches a slot), so it is a plain name.
_SITE = "%[var(txn.host)]"


def _page(title: str, text: str) -> str:
    return f"""\
<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{title}</title>
<style>body{{font:1.1em/1.5 sans-serif;max-width:34em;margin:15vh auto;padding:0 1em;\
color-scheme:light dark}}</style></head>
<body><h1>{title}</h1><p>{text}</p></body>
</html>
"""


PAGES = {
    FORBIDDEN: _page(
        "Not from this address",
        f"{_SITE} answers visitors from certain addresses only, and yours is none of them.",
    ),
    NOT_FOUND: _page("No such site", "There is no site at this address. Check its spelling."),
    MISDIRECTED: _page("Not by HTTPS", "The site at this address is not served by HTTPS."),
    FAILED: _page("The site gave no answer", f"{_SITE} broke off its answer. Try again in a moment."),
    UNAVAILABLE: _page(
        "The site is not available",
        f"No healthy instance of {_SITE} can answer at the moment. Try again in a few seconds.",
    ),
    LATE: _page("The site took too long", f"{_SITE} did not answer in time. Try again in a moment."),
}
"""Page by file name. All but those of 404 and 421 are log formats: a percent sign is written twice."""
