"""Sample templates, drawn for this project. The demo, the preview and the tests use them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

_FOLDER = Path(__file__).parent

# The names of the samples.
CERTIFICATE, TYPST = "certificate.svg", "certificate.typ"
# The options of a credential type for each sample.
OPTIONS: dict[str, dict[str, Any]] = {
    CERTIFICATE: {
        "template": "sample-certificate",
        "defaults": {"color": "#1d2b3a"},
        "text_elements": {
            "title": {"text": "Certificate of completion", "y": 528, "size": 34, "color": "#fffdf8"},
            "intro": {"text": "This certifies that", "y": 414, "size": 14, "color": "#5b6770"},
            "name": {"y": 348, "size": 38, "max_width": 620},
            "line": {"text": "has successfully completed", "y": 290, "size": 14, "color": "#5b6770"},
            "context": {"y": 236, "size": 26, "max_width": 620},
            "date": {"y": 158, "size": 13},
            "code": {"text": "{verify_url}", "y": 62, "size": 8, "color": "#5b6770"},
        },
        "qr": {"x": 690, "y": 66, "size": 92, "color": "#1d2b3a"},
    },
    TYPST: {"template": "sample-typst"},
}


def content(sample: str) -> bytes:
    """Return a sample's file."""
    return (_FOLDER / sample).read_bytes()
