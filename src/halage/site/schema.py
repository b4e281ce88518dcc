"""The JSON Schema of halage.toml, for editors."""

import json
from typing import Any

from halage.site.file import SiteFile


def site_schema() -> dict[str, Any]:
    """The schema of the whole file (draft 2020-12)."""
    schema = SiteFile.model_json_schema()
    schema.pop("title", None)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "halage.toml",
        **{key: value for key, value in schema.items() if key != "description"},
        "description": "What a site says about itself to Halage. Every part is optional.",
    }


def site_schema_text() -> str:
    """The schema as the text of the committed file."""
    return json.dumps(site_schema(), indent=2, ensure_ascii=False) + "\n"
