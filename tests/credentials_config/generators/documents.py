"""Assets in memory, document contexts, and libraries other than the generator's that read finished documents."""

from __future__ import annotations

import io
import struct
import zlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pypdfium2
import zxingcpp
from pdfminer.pdfdevice import PDFTextDevice
from pdfminer.pdffont import PDFUnicodeNotDefined
from pdfminer.pdfinterp import PDFPageInterpreter, PDFResourceManager
from pdfminer.pdfpage import PDFPage
from pdfminer.utils import decode_text

from credentials_config.contracts import DocumentContext, GenerationError
from credentials_config.generators.pdf import samples
from credentials_config.generators.pdf.generator import PdfGenerator, PdfRenderer

CONTEXT = DocumentContext(
    name="Ada Lovelace",
    context_name="Introduction to Algebra",
    issue_date="3 May 2026",
    verify_url="https://credentials.example.org/credentials/verify/K7QX9TMW2PHD",
    verify_code="K7QX9TMW2PHD",
    language="en",
)
PAPER = (
    b'<svg xmlns="http://www.w3.org/2000/svg" width="842" height="595"><path fill="#fff" d="M0 0h842v595H0z"/></svg>'
)
NOTO = Path("/usr/share/fonts/truetype/noto")


def context(**given: str) -> DocumentContext:
    return replace(CONTEXT, **given)


class StoredFiles:
    """Assets by slug: ``StoredFiles({"paper": ("paper.svg", b"…")})``."""

    def __init__(self, files: dict[str, tuple[str, bytes]]):
        self.files = files

    def read(self, slug: str) -> bytes:
        return self._file(slug)[1]

    def file_name(self, slug: str) -> str:
        return self._file(slug)[0]

    def version(self, slug: str) -> int:
        return 7 if self._file(slug) else 0

    def _file(self, slug: str) -> tuple[str, bytes]:
        if slug not in self.files:
            raise GenerationError(f"There is no asset {slug!r}", everyone=True)
        return self.files[slug]


def renderer(
    template: bytes = PAPER, options: dict[str, Any] | None = None, *, name: str = "paper.svg", **files: bytes
) -> PdfRenderer:
    """A renderer with this template; more assets are given as ``slug__extension=content``."""
    more = {slug.partition("__")[0]: (slug.replace("__", "."), content) for slug, content in files.items()}
    return PdfGenerator().create_renderer(
        {"template": "paper", **(options or {})}, StoredFiles({"paper": (name, template), **more})
    )


def sample_renderer() -> PdfRenderer:
    catalog = StoredFiles({"sample-certificate": (samples.CERTIFICATE, samples.content(samples.CERTIFICATE))})
    return PdfGenerator().create_renderer(samples.OPTIONS[samples.CERTIFICATE], catalog)


class _Reader(PDFTextDevice):
    """Reads the text of a file. Where the file names the text of some glyphs (ActualText), that is taken."""

    def __init__(self, manager: PDFResourceManager):
        super().__init__(manager)
        self.parts: list[str] = []
        # For each open tag: the index of its replacement in the parts, if it has one.
        self.open: list[int | None] = []
        self.row: float | None = None

    def begin_tag(self, tag: Any, props: Any = None) -> None:
        actual = props.get("ActualText") if isinstance(props, dict) else None
        self.open.append(None if actual is None else len(self.parts))
        if actual is not None:
            self.parts.append(decode_text(actual))

    def end_tag(self) -> None:
        self.open.pop()

    def render_char(self, matrix, font, fontsize, scaling, rise, cid, ncs, graphicstate):
        replaced = next((at for at in self.open if at is not None), None)
        row = round(matrix[5], 1)
        if row != self.row and self.row is not None:
            self.parts.insert(len(self.parts) if replaced is None else replaced, "\n")
        self.row = row
        if replaced is None:
            try:
                self.parts.append(font.to_unichr(cid))
            except PDFUnicodeNotDefined:
                self.parts.append("\N{REPLACEMENT CHARACTER}")
        return font.char_width(cid) * fontsize * scaling


def read_text(content: bytes) -> str:
    """Return the text of a document as pdfminer finds it, letters in the order in which they are drawn."""
    manager = PDFResourceManager()
    reader = _Reader(manager)
    interpreter = PDFPageInterpreter(manager, reader)
    for page in PDFPage.get_pages(io.BytesIO(content)):
        interpreter.process_page(page)
    return "".join(["\n", *reader.parts, "\n"])


def copied_text(content: bytes) -> str:
    """Return the text that somebody gets who copies the page in a PDFium reader, Chrome for one."""
    document = pypdfium2.PdfDocument(content)
    return "\n".join(page.get_textpage().get_text_bounded() for page in document)


def rendered(content: bytes, scale: float = 1.0) -> tuple[int, int, bytes]:
    """Return the first page as width, height and grey pixels."""
    bitmap = pypdfium2.PdfDocument(content)[0].render(scale=scale, grayscale=True)
    data = bytes(bitmap.buffer)
    rows = (data[row * bitmap.stride : row * bitmap.stride + bitmap.width] for row in range(bitmap.height))
    return bitmap.width, bitmap.height, b"".join(rows)


def ink(content: bytes, left: float, bottom: float, right: float, top: float) -> float:
    """Return how much of a part of the page is dark, from 0 to 1; the place is in points from the lower left corner."""
    width, height, pixels = rendered(content)
    rows = range(round(height - top), round(height - bottom))
    part = b"".join(pixels[row * width + round(left) : row * width + round(right)] for row in rows)
    return sum(pixel < 128 for pixel in part) / len(part)


def scanned(content: bytes) -> list[str]:
    """Return what a barcode reader finds on the page."""
    width, height, pixels = rendered(content, 2.0)
    return [code.text for code in zxingcpp.read_barcodes(memoryview(pixels).cast("B", (height, width)))]


def png(width: int, height: int, grey: int = 255) -> bytes:
    """A PNG of one colour."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    packer = zlib.compressobj(9)
    row = b"\0" + bytes([grey]) * width
    pixels = b"".join(packer.compress(row) for _ in range(height)) + packer.flush()
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")
