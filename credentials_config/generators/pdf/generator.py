"""
The plug-in ``pdf``: certificates on the typst engine.

The template asset is a PDF, PNG, JPEG or SVG, which becomes the page's background with text elements, images and a QR
code on it; or a whole ``.typ`` template, which draws its page itself and finds the words in ``sys.inputs``: ``name``,
``context_name``, ``issue_date``, ``verify_url``, ``verify_code``, ``language``, all of them as JSON in ``words``,
``lang`` (the code that ``text`` takes), ``rtl`` ("true" for names written from the right), and ``qr``, an SVG of the
address, for ``image(bytes(sys.inputs.qr), format: "svg")``. It may read the assets named in ``files`` (as
``<slug>.<extension>``) and nothing else, and use the fonts named in ``fonts``.
"""

from __future__ import annotations

import dataclasses
import os
import re
import shutil
import tempfile
import unicodedata
import uuid
import weakref
from importlib.metadata import version
from pathlib import Path
from typing import Any

from django.utils.translation import gettext_lazy as _

from credentials_config.conf import config
from credentials_config.contracts import (
    Assets,
    Document,
    DocumentContext,
    GenerationError,
    Generator,
    Options,
    Renderer,
)
from credentials_config.generators.pdf import extra, process
from credentials_config.options import Layout, fill, read_layout

VERSION = 1
# What the first document of a renderer says: it shows whether the template works at all.
SAMPLE = DocumentContext(
    name="Ada Lovelace",
    context_name="Demonstration course",
    issue_date="1 January 2030",
    verify_url="https://example.org/credentials/verify/SAMPLE2345",
    verify_code="SAMPLE2345",
    language="en",
)
_PICTURES = {b"%PDF-": "pdf", b"\x89PNG\r\n\x1a\n": "png", b"\xff\xd8\xff": "jpg"}
# Marks that turn the direction of what follows: they would reach beyond the name they stand in.
_TURNING = dict.fromkeys([0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A)])
# No writing puts more than three accents on a letter; piled up higher they cover what stands above and below.
_PILED = re.compile("(?<=[\u0300-\u036f]{3})[\u0300-\u036f]+")


class PdfGenerator(Generator):
    """Makes PDF certificates."""

    slug = "pdf"
    title = _("PDF certificate")
    option_help = _(
        "template: the slug of the asset that is the page (PDF, PNG, JPEG, SVG, or a whole .typ template).\n"
        "template_multiline: another one for context names of several lines.\n"
        "defaults: font, color, size, char_space, uppercase, line_height, x, align, max_width, max_lines, min_size "
        "for all texts.\n"
        "text_elements: name, context, date, code, or any other key for a text of your own: an object with text, y and "
        "what is in defaults, or false to leave it out. Places are points from the lower left corner; without x a text "
        "is in the middle. Texts wider than max_width shrink down to min_size, then they are wrapped into max_lines.\n"
        "images: a list of objects with asset, x, y, width, height.\n"
        "qr: an object with x, y, size: the verification address as a QR code.\n"
        "page: an object with width and height, when the template's own size is not wanted.\n"
        "files, fonts: more assets that a .typ template uses.\n"
        "Placeholders in texts: {name}, {context_name}, {issue_date}, {verify_url}, {verify_code}; a brace itself is "
        "written twice."
    )

    def clean_options(self, options: Options) -> list[str]:
        """Return what is wrong with the options: path and remedy, in words."""
        return read_layout(options)[1]

    def begin(self, options: Options, assets: Assets) -> PdfRenderer:
        """Load template, fonts and images, and make a first document of them."""
        layout, findings = read_layout(options)
        if layout is None:
            raise GenerationError("; ".join(findings), everyone=True)
        if words := extra.missing():
            raise GenerationError(words, everyone=True)
        settings = config.pdf
        worker = process.worker(
            seconds=float(settings["seconds"]),
            megabytes=int(settings["megabytes"]),
            folders=process.font_folders(settings["font_folders"]),
        )
        try:
            return PdfRenderer(layout, assets, worker)
        except GenerationError as error:
            raise GenerationError(str(error), everyone=True) from error


class PdfRenderer(Renderer):
    """A loaded template: a folder with all that it may read, which the worker process knows by its name."""

    def __init__(self, layout: Layout, assets: Assets, worker: process.WorkerProcess):
        self._layout, self._worker = layout, worker
        self._new_folder()
        self._versions: dict[str, int] = {}
        try:
            self._opening = self._prepare(assets)
            self._ask(self._opening)
            for page in range(len(self._opening["pages"])):
                self._make(SAMPLE, page=page, strict=True)
        except BaseException:
            self.close()
            raise
        self.made_from = {
            "generator": f"{PdfGenerator.slug} {VERSION}",
            "typst": version("typst"),
            "assets": self._versions,
        }

    def make(self, words: DocumentContext) -> Document:
        """Make one document; GenerationError when that cannot be done."""
        several = len(self._opening["pages"]) > 1 and "\n" in _clean(words.context_name, lines=True)
        return Document(self._make(words, page=int(several), strict=False))

    def close(self) -> None:
        """Let go of the folder."""
        self._finalizer()

    # -- asking the worker ---------------------------------------------------------------------------------------------

    def _make(self, words: DocumentContext, *, page: int, strict: bool) -> bytes:
        return self._ask(self._request(words, page=page, strict=strict))

    def _request(self, words: DocumentContext, *, page: int, strict: bool) -> dict[str, Any]:
        said = {
            field.name: _clean(getattr(words, field.name), lines=field.name == "context_name")
            for field in dataclasses.fields(words)
        }
        return {
            "do": "make",
            "id": self._opening["id"],
            "page": page,
            "strict": strict,
            "words": said,
            "title": said["context_name"].replace("\n", " "),
            "texts": [_text(element, said) for element in self._layout.texts],
        }

    def _ask(self, request: dict[str, Any]) -> bytes:
        if os.getpid() != self._owner:
            self._leave_to_parent()
            request = {**request, "id": self._opening["id"]}
        try:
            return self._worker.ask(request)
        except process.Unknown:
            self._worker.ask(self._opening)
            return self._worker.ask(request)

    # -- the folder ----------------------------------------------------------------------------------------------------

    def _new_folder(self) -> None:
        self._owner = os.getpid()
        self._folder = Path(tempfile.mkdtemp(prefix="credentials-renderer-"))
        self._finalizer = weakref.finalize(self, _remove, self._folder, self._owner)

    def _leave_to_parent(self) -> None:
        """In a forked child: take a copy, because the parent's folder goes when the parent does."""
        theirs = self._folder
        self._new_folder()
        shutil.copytree(theirs, self._folder, dirs_exist_ok=True)
        self._opening = {**self._opening, "id": uuid.uuid4().hex, "folder": str(self._folder)}

    def _prepare(self, assets: Assets) -> dict[str, Any]:
        """Write everything that the template may read into the folder; return the request that loads it."""
        layout = self._layout
        (self._folder / "fonts").mkdir()
        templates = [layout.template, *([layout.template_multiline] if layout.template_multiline else [])]
        pages = [self._page(assets, slug, number) for number, slug in enumerate(templates)]
        own = {page["kind"] == "typ" for page in pages}
        if len(own) > 1:
            raise GenerationError("template and template_multiline must be of one kind: both .typ, or both pictures")
        drawn = own == {False}
        if not drawn and layout.drawn:
            raise GenerationError(
                "A .typ template draws its page itself: take defaults, text_elements, images, qr and page out of the "
                "options (null takes away what the type says)"
            )
        if drawn and layout.files:
            raise GenerationError("files are for .typ templates; to put pictures on the page, name them in images")
        for slug in layout.files:
            name = slug + Path(assets.file_name(slug)).suffix
            if (self._folder / name).exists():
                raise GenerationError(
                    f"files: the name {name!r} is taken; upload the asset {slug!r} under another slug"
                )
            self._write(name, self._read(assets, slug))
        return {
            "do": "open",
            "id": uuid.uuid4().hex,
            "folder": str(self._folder),
            "pages": pages,
            "fonts": self._fonts(assets),
            "layout": self._drawing(assets) if drawn else None,
        }

    def _page(self, assets: Assets, slug: str, number: int) -> dict[str, Any]:
        content = self._read(assets, slug)
        kind = "typ" if assets.file_name(slug).lower().endswith(".typ") else _kind(slug, content)
        width, height = self._layout.page or (None, None)
        file = self._write(f"template-{number}.{kind}", content)
        return {"slug": slug, "kind": kind, "file": file, "width": width, "height": height}

    def _drawing(self, assets: Assets) -> dict[str, Any]:
        images = []
        for number, image in enumerate(self._layout.images):
            content = self._read(assets, image.asset)
            file = self._write(f"image-{number}.{_kind(image.asset, content)}", content)
            images.append({**dataclasses.asdict(image), "file": file})
        return {
            "texts": [dataclasses.asdict(element) for element in self._layout.texts],
            "images": images,
            "qr": dataclasses.asdict(self._layout.qr) if self._layout.qr else None,
        }

    def _fonts(self, assets: Assets) -> dict[str, str]:
        """Write the fonts that are assets; those that are not may be families of the machine: the worker knows."""
        files: dict[str, str] = {}
        for slug in dict.fromkeys([*self._layout.fonts, *(text.font for text in self._layout.texts if text.font)]):
            try:
                content = self._read(assets, slug)
            except GenerationError:
                if slug in self._layout.fonts or _exists(assets, slug):
                    raise
                continue
            files[slug] = f"{len(files)}.{'otf' if content[:4] == b'OTTO' else 'ttf'}"
            (self._folder / "fonts" / files[slug]).write_bytes(content)
        return files

    def _read(self, assets: Assets, slug: str) -> bytes:
        content = assets.read(slug)
        most = int(config.pdf["asset_megabytes"])
        if len(content) > most * 1024 * 1024:
            raise GenerationError(
                f"The asset {slug!r} is bigger than {most} MB; make it smaller (a page at 300 dpi is about 2 MB as "
                'JPEG). The limit is CREDENTIALS_CONFIG["pdf"]["asset_megabytes"]'
            )
        if not content:
            raise GenerationError(f"The asset {slug!r} is an empty file; upload it again")
        self._versions[slug] = assets.version(slug)
        return content

    def _write(self, name: str, content: bytes) -> str:
        (self._folder / name).write_bytes(content)
        return name


def _text(element: Any, words: dict[str, str]) -> str:
    text = fill(element.text, words)
    if not element.uppercase:
        return text
    turkic = words["language"].lower().split("-")[0] in ("tr", "az")
    return (text.replace("i", "İ") if turkic else text).upper()


def _clean(text: str, *, lines: bool = False) -> str:
    """Return text that is fit to print: no control characters, single spaces, lines only where they mean something."""
    text = _PILED.sub("", text.replace("\r\n", "\n").translate(_TURNING))
    text = "".join(letter if letter == "\n" or not _is_control(letter) else " " for letter in text)
    rows = [" ".join(row.split()) for row in text.split("\n")]
    return ("\n" if lines else " ").join(row for row in rows if row)


def _is_control(letter: str) -> bool:
    return unicodedata.category(letter) in ("Cc", "Cs", "Zl", "Zp")


def _kind(slug: str, content: bytes) -> str:
    """Return what kind of picture a file is, by its content."""
    for mark, kind in _PICTURES.items():
        if mark in content[:1024] if kind == "pdf" else content.startswith(mark):
            return kind
    if b"<svg" in content[:4096]:
        return "svg"
    raise GenerationError(
        f"The asset {slug!r} is no PDF, PNG, JPEG or SVG; save it as one of these and upload it again"
    )


def _exists(assets: Assets, slug: str) -> bool:
    try:
        assets.version(slug)
    except GenerationError:
        return False
    return True


def _remove(folder: Path, owner: int) -> None:
    if os.getpid() == owner:  # not in a forked child
        shutil.rmtree(folder, ignore_errors=True)
