"""
The plug-in ``pdf``: certificates made by the typst engine.

The template asset is one of two kinds. A PDF, PNG, JPEG or SVG becomes the background of the page; text elements,
images and a QR code are drawn on it. A ``.typ`` template draws its page itself. It finds these texts in ``sys.inputs``:

- ``name``, ``context_name``, ``issue_date``, ``verify_url``, ``verify_code``, ``language``;
- ``words``: all of these as one JSON object;
- ``lang``: the language code that typst's ``text`` takes;
- ``rtl``: "true" for names that are written from right to left, else "false";
- ``qr``: an SVG of the verification address, for ``image(bytes(sys.inputs.qr), format: "svg")``.

It may read the assets named in ``files`` (as ``<slug>.<extension>``) and nothing else, and use the fonts in ``fonts``.
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
from credentials_config.options import Layout, TextElement, fill, read_layout

VERSION = 1
# The texts of the first document that a renderer makes, which shows whether the template works at all.
SAMPLE = DocumentContext(
    name="Ada Lovelace",
    context_name="Demonstration course",
    issue_date="1 January 2030",
    verify_url="https://example.org/credentials/verify/SAMPLE2345",
    verify_code="SAMPLE2345",
    language="en",
)
_IMAGES = {b"%PDF-": "pdf", b"\x89PNG\r\n\x1a\n": "png", b"\xff\xd8\xff": "jpg"}
# Marks that change the direction of the text after them, also beyond the name that they are in.
_DIRECTION_MARKS = dict.fromkeys([0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A)])
# No script puts more than three accents on a letter. More of them cover the lines above and below.
_STACKED_ACCENTS = re.compile("(?<=[\u0300-\u036f]{3})[\u0300-\u036f]+")


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
        """Return what is wrong with the options, one sentence with path and remedy for each error."""
        return read_layout(options)[1]

    def create_renderer(self, options: Options, assets: Assets) -> PdfRenderer:
        """Load template, fonts and images, and make a first document. Raises GenerationError."""
        layout, errors = read_layout(options)
        if layout is None:
            raise GenerationError("; ".join(errors), everyone=True)
        if missing := extra.missing():
            raise GenerationError(missing, everyone=True)
        settings = config.pdf
        worker = process.shared_worker(
            seconds=float(settings["seconds"]),
            megabytes=int(settings["megabytes"]),
            folders=process.font_folders(settings["font_folders"]),
        )
        try:
            return PdfRenderer(layout, assets, worker)
        except GenerationError as error:
            raise GenerationError(str(error), everyone=True) from error


class PdfRenderer(Renderer):
    """
    A loaded template: a folder with all files that the template may read, and its copy in the worker process.

    The worker knows the template by an id. When it was restarted, the template is loaded into it again.
    """

    def __init__(self, layout: Layout, assets: Assets, worker: process.WorkerProcess):
        self._layout, self._worker = layout, worker
        self._new_folder()
        self._versions: dict[str, int] = {}
        try:
            self._open_request = self._prepare(assets)
            self._ask(self._open_request)
            for page in range(len(self._open_request["pages"])):
                self._make(SAMPLE, page=page, strict=True)
        except BaseException:
            self.close()
            raise
        self.made_from = {
            "generator": f"{PdfGenerator.slug} {VERSION}",
            "typst": version("typst"),
            "assets": self._versions,
        }

    def render(self, context: DocumentContext) -> Document:
        """Return one document. Raises GenerationError."""
        multiline = len(self._open_request["pages"]) > 1 and "\n" in _clean(context.context_name, lines=True)
        return Document(self._make(context, page=int(multiline), strict=False))

    def close(self) -> None:
        """Delete the folder."""
        self._finalizer()

    # -- asking the worker ---------------------------------------------------------------------------------------------

    def _make(self, context: DocumentContext, *, page: int, strict: bool) -> bytes:
        return self._ask(self._request(context, page=page, strict=strict))

    def _request(self, context: DocumentContext, *, page: int, strict: bool) -> dict[str, Any]:
        values = {
            field.name: _clean(getattr(context, field.name), lines=field.name == "context_name")
            for field in dataclasses.fields(context)
        }
        return {
            "do": "make",
            "id": self._open_request["id"],
            "page": page,
            "strict": strict,
            "values": values,
            "title": values["context_name"].replace("\n", " "),
            "texts": [_text(element, values) for element in self._layout.texts],
        }

    def _ask(self, request: dict[str, Any]) -> bytes:
        if os.getpid() != self._owner:
            self._copy_folder()
            request = {**request, "id": self._open_request["id"]}
        try:
            return self._worker.ask(request)
        except process.TemplateNotLoaded:
            self._worker.ask(self._open_request)
            return self._worker.ask(request)

    # -- the folder ----------------------------------------------------------------------------------------------------

    def _new_folder(self) -> None:
        self._owner = os.getpid()
        self._folder = Path(tempfile.mkdtemp(prefix="credentials-renderer-"))
        self._finalizer = weakref.finalize(self, _remove, self._folder, self._owner)

    def _copy_folder(self) -> None:
        """In a forked process: use a copy of the folder, because the parent deletes its own when it ends."""
        parents_folder = self._folder
        self._new_folder()
        shutil.copytree(parents_folder, self._folder, dirs_exist_ok=True)
        self._open_request = {**self._open_request, "id": uuid.uuid4().hex, "folder": str(self._folder)}

    def _prepare(self, assets: Assets) -> dict[str, Any]:
        """Write everything that the template may read into the folder. Return the request that loads the template."""
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
        kind = "typ" if assets.file_name(slug).lower().endswith(".typ") else _image_kind(slug, content)
        width, height = self._layout.page or (None, None)
        file = self._write(f"template-{number}.{kind}", content)
        return {"slug": slug, "kind": kind, "file": file, "width": width, "height": height}

    def _drawing(self, assets: Assets) -> dict[str, Any]:
        images = []
        for number, image in enumerate(self._layout.images):
            content = self._read(assets, image.asset)
            file = self._write(f"image-{number}.{_image_kind(image.asset, content)}", content)
            images.append({**dataclasses.asdict(image), "file": file})
        return {
            "texts": [dataclasses.asdict(element) for element in self._layout.texts],
            "images": images,
            "qr": dataclasses.asdict(self._layout.qr) if self._layout.qr else None,
        }

    def _fonts(self, assets: Assets) -> dict[str, str]:
        """
        Write the fonts that are assets, and return their file names by slug.

        Other names may be font families of this machine, which only the worker knows.
        """
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
        limit = int(config.pdf["asset_megabytes"])
        if len(content) > limit * 1024 * 1024:
            raise GenerationError(
                f"The asset {slug!r} is bigger than {limit} MB; make it smaller (a page at 300 dpi is about 2 MB "
                'as JPEG). The limit is CREDENTIALS_CONFIG["pdf"]["asset_megabytes"]'
            )
        if not content:
            raise GenerationError(f"The asset {slug!r} is an empty file; upload it again")
        self._versions[slug] = assets.version(slug)
        return content

    def _write(self, name: str, content: bytes) -> str:
        (self._folder / name).write_bytes(content)
        return name


def _text(element: TextElement, values: dict[str, str]) -> str:
    text = fill(element.text, values)
    if not element.uppercase:
        return text
    turkic = values["language"].lower().split("-")[0] in ("tr", "az")
    return (text.replace("i", "İ") if turkic else text).upper()


def _clean(text: str, *, lines: bool = False) -> str:
    """
    Return a text that can be printed: without control characters and with single spaces.

    ``lines`` keeps line breaks; otherwise they become spaces.
    """
    text = _STACKED_ACCENTS.sub("", text.replace("\r\n", "\n").translate(_DIRECTION_MARKS))
    text = "".join(letter if letter == "\n" or not _is_control(letter) else " " for letter in text)
    rows = [" ".join(row.split()) for row in text.split("\n")]
    return ("\n" if lines else " ").join(row for row in rows if row)


def _is_control(letter: str) -> bool:
    return unicodedata.category(letter) in ("Cc", "Cs", "Zl", "Zp")


def _image_kind(slug: str, content: bytes) -> str:
    """Return the kind of an image (pdf, png, jpg or svg) by its content. Raises GenerationError for anything else."""
    for mark, kind in _IMAGES.items():
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
