"""A site as a JSON document, for the rows and the API, and back."""

from typing import Any

from pydantic import TypeAdapter

from halage.site.model import Site

_SITE: TypeAdapter[Site] = TypeAdapter(Site)


def site_to_document(site: Site) -> dict[str, Any]:
    """The site in the types of JSON; `site_from_document` makes the same site of it."""
    document: dict[str, Any] = _SITE.dump_python(site, mode="json")
    return document


def site_from_document(document: dict[str, Any]) -> Site:
    """The site of a document, also of one that an older Halage wrote (new keys get their default).

    Raises ValueError when it is none.
    """
    return _SITE.validate_python(document)
