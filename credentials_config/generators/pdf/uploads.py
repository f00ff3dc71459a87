"""What is wrong with a file that somebody uploads as an asset, said while they are still there to repair it."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Any

from credentials_config.contracts import GenerationError
from credentials_config.generators.pdf import samples
from credentials_config.generators.pdf.generator import PdfGenerator

_PICTURES = (".pdf", ".png", ".jpg", ".jpeg", ".svg")
_FONTS = (".ttf", ".otf", ".ttc")
_PAPER = "blank-paper"


def faults(slug: str, file_name: str, content: bytes) -> list[str]:
    """
    Return what is wrong with a template, picture or font: what and the remedy, in words. Other files are not looked at.

    A ``.typ`` template is only looked at as a file: which words, files and fonts it gets is known where it is used.
    """
    suffix = PurePosixPath(file_name).suffix.lower()
    if suffix == ".typ":
        return _faults_of_source(slug, content)
    if suffix in _PICTURES:
        options: dict[str, Any] = {"template": slug}
    elif suffix in _FONTS:
        options = {"template": _PAPER, "fonts": [slug]}
    else:
        return []
    try:
        PdfGenerator().begin(options, _Upload(slug, file_name, content)).close()
    except GenerationError as error:
        return [str(error)]
    return []


def _faults_of_source(slug: str, content: bytes) -> list[str]:
    try:
        content.decode()
    except UnicodeDecodeError:
        return [f"The template {slug!r} is no text in UTF-8; save it as such in your editor and upload it again"]
    return [] if content.strip() else [f"The asset {slug!r} is an empty file; upload it again"]


class _Upload:
    """The one file, and paper to try a font on."""

    def __init__(self, slug: str, file_name: str, content: bytes):
        self._files = {_PAPER: (samples.CERTIFICATE, samples.content(samples.CERTIFICATE)), slug: (file_name, content)}

    def read(self, slug: str) -> bytes:
        return self._files[slug][1]

    def file_name(self, slug: str) -> str:
        return self._files[slug][0]

    def version(self, slug: str) -> int:
        return 1
