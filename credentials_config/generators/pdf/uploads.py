"""Checks a file when somebody uploads it as an asset, so that they can correct it at once."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Any

from credentials_config.contracts import GenerationError
from credentials_config.generators.pdf import samples
from credentials_config.generators.pdf.generator import PdfGenerator

_IMAGES = (".pdf", ".png", ".jpg", ".jpeg", ".svg")
_FONTS = (".ttf", ".otf", ".ttc")
_BLANK_PAGE = "blank-page"


def upload_errors(slug: str, file_name: str, content: bytes) -> list[str]:
    """
    Return what is wrong with a template, image or font, with the remedy. Files of other kinds are not checked.

    A ``.typ`` template is only checked to be text. Which files and fonts it gets is known only where it is used.
    """
    suffix = PurePosixPath(file_name).suffix.lower()
    if suffix == ".typ":
        return _source_errors(slug, content)
    if suffix in _IMAGES:
        options: dict[str, Any] = {"template": slug}
    elif suffix in _FONTS:
        options = {"template": _BLANK_PAGE, "fonts": [slug]}
    else:
        return []
    try:
        PdfGenerator().create_renderer(options, _Upload(slug, file_name, content)).close()
    except GenerationError as error:
        return [str(error)]
    return []


def _source_errors(slug: str, content: bytes) -> list[str]:
    try:
        content.decode()
    except UnicodeDecodeError:
        return [f"The template {slug!r} is no text in UTF-8; save it as such in your editor and upload it again"]
    return [] if content.strip() else [f"The asset {slug!r} is an empty file; upload it again"]


class _Upload:
    """Assets for one check: the uploaded file, and a page to try a font on."""

    def __init__(self, slug: str, file_name: str, content: bytes):
        self._files = {
            _BLANK_PAGE: (samples.CERTIFICATE, samples.content(samples.CERTIFICATE)),
            slug: (file_name, content),
        }

    def read(self, slug: str) -> bytes:
        return self._files[slug][1]

    def file_name(self, slug: str) -> str:
        return self._files[slug][0]

    def version(self, slug: str) -> int:
        return 1
