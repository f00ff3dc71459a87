"""
The process that runs the typst engine and checks its documents. ``process`` starts, limits and kills it.

Templates come from people. One may loop for ever, use up the memory, or be a file that makes a decoder crash. So they
are handled in a process of their own. It does not get the host's environment, which may hold passwords. An alarm ends
it in the middle of anything, its memory is limited, and its proxies cannot be reached, so that no template downloads
packages. When its parent has ended, it removes its folders and ends too. It imports no framework.

Requests: ``open`` loads a template from a folder with everything that it may read. ``make`` makes a document of it.
``close`` unloads it.
"""

from __future__ import annotations

import json
import os
import re
import resource
import shutil
import signal
import sys
import unicodedata
from collections import OrderedDict
from pathlib import Path
from typing import Any

import pypdfium2
import segno
import typst

from credentials_config.generators.pdf import messages
from credentials_config.generators.pdf.fonts import FontCatalog, MissingLetter

Request = dict[str, Any]
# The number of templates that are kept loaded.
MAX_TEMPLATES = 16
# A word with more letters may be broken anywhere.
MAX_WORD_LENGTH = 60
_PAGE = Path(__file__).with_name("page.typ")
_PROFILE = re.compile(rb"\[/ICCBased \d+ \d+ R\]")
_LANGUAGE = re.compile(r"([a-zA-Z]{2,3})(?:[-_]([a-zA-Z]{4}))?(?:[-_]([a-zA-Z]{2}))?")
_PACKAGE = re.compile(r"(?:failed to download package|package not found)[^@]*?(@?[\w-]+[/-][\w:.-]+?)(?:\.tar|\))")
# Letters of these scripts are joined, so they are never spaced out.
_JOINED = ("ARABIC", "SYRIAC", "MONGOLIAN", "NKO", "MANDAIC", "DEVANAGARI", "BENGALI", "GURMUKHI")
# Typst marks documents in Arabic or Hebrew as read from the right. That means nothing on a single page. But PDFium, and
# so Chrome, then reverses all text that is copied, the verification address included.
_RIGHT_TO_LEFT, _LEFT_TO_RIGHT = b"/ViewerPreferences<</Direction/R2L>>", b"/ViewerPreferences<</Direction/L2R>>"


class RenderError(Exception):
    """
    The request cannot be fulfilled. The message says why, and what to do.

    ``everyone`` is True when it would fail alike for every learner.
    """

    def __init__(self, message: str, *, everyone: bool = False):
        super().__init__(message)
        self.everyone = everyone


class Template:
    """A loaded template: its compilers, fonts and layout."""

    def __init__(self, request: Request, machine: FontCatalog, folders: list[Path]):
        self.folder = Path(request["folder"])
        self.layout: dict[str, Any] | None = request["layout"]
        own = self.folder / "fonts"
        self.catalog = FontCatalog([own, *folders]) if request["fonts"] else machine
        self.fonts = {slug: self._font(slug, own / name) for slug, name in request["fonts"].items()}
        for page in request["pages"]:
            page |= self._measured(page)
        self.pages = request["pages"]
        mains = [page["file"] for page in self.pages]
        if self.layout is not None:
            self._write_layout()
            mains = ["page.typ"]
        self.compilers = [self._compiler(main) for main in mains]

    def _compiler(self, main: str) -> typst.Compiler:
        return typst.Compiler(
            input=str(self.folder / main),
            root=str(self.folder),
            font_paths=self.catalog.fonts,
            ignore_system_fonts=True,
            package_path=str(self.folder / "packages"),
            package_cache_path=str(self.folder / "packages"),
        )

    def _font(self, slug: str, path: Path) -> dict[str, Any]:
        info = self.catalog.in_file(path)
        if info is None:
            raise RenderError(
                f"The asset {slug!r} is no font that can be read; upload a TrueType or OpenType file (.ttf, .otf)"
            )
        style = info.style if info.style in ("normal", "italic", "oblique") else "normal"
        stretch = info.stretch * 100 if info.stretch <= 4 else info.stretch
        return {"family": info.family, "weight": info.weight, "style": style, "stretch": stretch}

    def _measured(self, page: Request) -> Request:
        """Return the size of a page's template. Raises RenderError when the template cannot be read."""
        if page["kind"] == "typ":
            return {"width": 0, "height": 0}
        if page["kind"] == "pdf":
            _check_pdf(page["slug"], (self.folder / page["file"]).read_bytes())
        size = self.measure(page["slug"], page["file"])
        if page["width"] is None and page["kind"] != "pdf":
            # A picture has no size of its own on paper: its longer side is that of A4.
            scale = 841.89 / max(size)
            size = (size[0] * scale, size[1] * scale)
        return {"width": page["width"] or size[0], "height": page["height"] or size[1]}

    def measure(self, slug: str, file: str) -> tuple[float, float]:
        """Return the natural width and height of an image in points. Raises RenderError."""
        probe = self.folder / "probe.typ"
        probe.write_text(f"#context [#metadata(measure(image({json.dumps(file)}))) <size>]")
        try:
            found = json.loads(self._compiler(probe.name).query("<size>", field="value", one=True))
        except (typst.TypstError, RuntimeError) as error:
            raise RenderError(
                f"The asset {slug!r} cannot be used as a picture: {_message_of(error)}; open it in a drawing program "
                "and save it again as PDF, PNG, JPEG or SVG"
            ) from error
        finally:
            probe.unlink()
        width, height = (float(found[side].removesuffix("pt")) for side in ("width", "height"))
        if width < 1 or height < 1:
            raise RenderError(f"The asset {slug!r} is empty; give its drawing a width and a height")
        return width, height

    def _write_layout(self) -> None:
        """Write what all documents share to a file for page.typ."""
        layout = self.layout
        assert layout is not None
        for element in layout["texts"]:
            element |= self._face(element)
            element |= {"boxes": [_line_box(element, page["width"]) for page in self.pages]}
            element["min_size"] = min(element["min_size"] or element["size"] * 0.6, element["size"])
        for image in layout["images"]:
            self.measure(image["asset"], image["file"])
        written = {**layout, "pages": self.pages}
        (self.folder / "layout.json").write_text(json.dumps(written))
        shutil.copyfile(_PAGE, self.folder / "page.typ")

    def _face(self, element: dict[str, Any]) -> dict[str, Any]:
        named = element["font"]
        if named in self.fonts:
            return self.fonts[named]
        family = self.catalog.family(named) if named else self.catalog.standard()
        if family is None:
            raise RenderError(
                f"There is no font {named!r} (text_elements.{element['key']}.font): neither an asset nor a font family "
                "of this machine. Upload the font as an asset with this slug, or install it"
            )
        return {"family": family, "weight": 400, "style": "normal", "stretch": 100}

    def make(self, request: Request) -> bytes:
        """Return the finished document. Raises RenderError."""
        inputs = self._inputs_for_page(request) if self.layout is not None else self._inputs_for_source(request)
        compiler = self.compilers[0 if self.layout is not None else request["page"]]
        try:
            if request["strict"]:
                document, warnings = compiler.compile_with_warnings(sys_inputs=inputs, timestamp=0, format="pdf")
                _check_fonts_are_known(warnings)
            else:
                document = compiler.compile(sys_inputs=inputs, timestamp=0, format="pdf")
        except (typst.TypstError, RuntimeError) as error:
            raise self._render_error(error, request["page"], request["values"]) from error
        assert isinstance(document, bytes)
        document = document.replace(_RIGHT_TO_LEFT, _LEFT_TO_RIGHT)
        _check_code_is_readable(request["values"]["verify_code"], document)
        return document

    def _render_error(self, error: Exception, page: int, values: dict[str, str]) -> RenderError:
        message = _message_of(error, values)
        if message.startswith("text_elements."):
            return RenderError(message)
        if self.layout is not None:
            return RenderError(
                f"typst cannot set the page: {message}; check the template and the pictures of the options"
            )
        slug = self.pages[page]["slug"]
        return RenderError(
            f"The template {slug!r} is broken{_line_of(error)}: {message}; repair it and upload it again"
        )

    def _inputs_for_page(self, request: Request) -> dict[str, str]:
        assert self.layout is not None
        language = request["values"]["language"]
        texts = [
            self._content(element, text, language)
            for element, text in zip(self.layout["texts"], request["texts"], strict=True)
        ]
        lang, region = _language(language)
        url = request["values"]["verify_url"]
        document = {
            "title": request["title"],
            "lang": lang,
            "region": region,
            "page": request["page"],
            "texts": texts,
            "qr": _qr(url, self.layout["qr"]["color"]) if self.layout["qr"] else None,
            "qr_text": url,
        }
        return {"document": json.dumps(document, ensure_ascii=False)}

    def _content(self, element: dict[str, Any], text: str, language: str) -> dict[str, Any]:
        return {
            "lines": [_breakable(line) for line in text.split("\n")],
            "fonts": self._stack(text, element["family"], language),
            "rtl": _is_rtl(text),
            "joined": any(unicodedata.name(letter, "").startswith(_JOINED) for letter in text if letter > "\u0590"),
            "pieces": _unbreakable_pieces(text),
        }

    def _stack(self, text: str, family: str, language: str) -> list[str]:
        try:
            return self.catalog.stack(text, family, language)
        except MissingLetter as error:
            raise RenderError(
                f"No font here has the letter U+{ord(error.letter):04X}; install the Noto fonts (Debian: "
                "fonts-noto-core, fonts-noto-cjk, fonts-noto-color-emoji) or upload a font that has it and name it "
                "in the options"
            ) from error

    def _inputs_for_source(self, request: Request) -> dict[str, str]:
        values = request["values"]
        self._stack("".join(values.values()), self.catalog.standard(), values["language"])
        return {
            **values,
            "words": json.dumps(values, ensure_ascii=False),
            "qr": _qr(values["verify_url"], "#000000"),
            "lang": _language(values["language"])[0],
            "rtl": "true" if _is_rtl(values["name"]) else "false",
        }


def _line_box(element: dict[str, Any], page_width: float) -> dict[str, float]:
    """Return the left edge of an element's line and the width that it may have, in points."""
    x = page_width / 2 if element["x"] is None else element["x"]
    free = {"left": page_width - x, "right": x, "center": 2 * min(x, page_width - x)}[element["align"]]
    width = element["max_width"] or max(free * (0.9 if element["align"] == "center" else 0.95), 1)
    left = {"left": x, "right": x - width, "center": x - width / 2}[element["align"]]
    return {"left": left, "width": width}


def _breakable(line: str) -> list[str]:
    """Return a line in parts, between which it may be broken. Only very long words make more than one part."""
    parts = [""]
    for word in re.findall(r"\s+|\S+", line):
        if len(word) <= MAX_WORD_LENGTH or not _has_spaces_between_words(word):
            parts[-1] += word
        else:
            step = MAX_WORD_LENGTH // 2
            parts[-1] += word[:step]
            parts += [word[at : at + step] for at in range(step, len(word), step)]
    return parts


def _has_spaces_between_words(word: str) -> bool:
    """Return whether a script has spaces between words. Chinese, Thai and others break lines elsewhere."""
    return not any(
        "\u0e00" <= letter <= "\u0eff"
        or "\u1000" <= letter <= "\u109f"
        or "\u1780" <= letter <= "\u17ff"
        or unicodedata.east_asian_width(letter) in "WF"
        for letter in word
    )


def _unbreakable_pieces(text: str) -> list[str]:
    """Return the longest pieces of a text that no line break divides. They decide how small the text has to be."""
    pieces = []
    for word in text.split():
        if _has_spaces_between_words(word):
            pieces += _breakable(word)
        else:
            # These scripts break lines by a dictionary. Few words are longer than this.
            wide = all(unicodedata.east_asian_width(letter) in "WF" for letter in word)
            step = 2 if wide else 16
            pieces += [word[at : at + step] for at in range(0, len(word), step)]
    return sorted(set(pieces), key=len, reverse=True)[:8] or [""]


def _is_rtl(text: str) -> bool:
    """Return whether a text is written from right to left, by its first strong letter (Unicode, UAX #9)."""
    for letter in text:
        kind = unicodedata.bidirectional(letter)
        if kind in ("L", "R", "AL"):
            return kind != "L"
    return False


def _language(code: str) -> tuple[str, str | None]:
    match = _LANGUAGE.fullmatch(code)
    if match is None:
        return "en", None
    script = {"hans": "CN", "hant": "TW"}.get((match[2] or "").lower())
    return match[1].lower(), script or (match[3] or "").upper() or None


def _qr(url: str, color: str) -> str:
    """
    Return the address as a QR code in SVG, one path, with its quiet zone.

    The mask is fixed. Choosing the best of eight takes most of the time, and readers read all of them.
    """
    try:
        matrix = segno.make(url, error="m", micro=False, mask=3).matrix
    except segno.DataOverflowError as error:
        raise RenderError("The verification address is too long for a QR code; shorten it", everyone=True) from error
    moves = []
    for y, row in enumerate(matrix, 4):
        for run in re.finditer(rb"\x01+", bytes(row)):
            width = run.end() - run.start()
            moves.append(f"M{run.start() + 4} {y}h{width}v1h-{width}z")
    side = len(matrix) + 8
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{side}" height="{side}" viewBox="0 0 {side} {side}">'
        f'<path fill="#fff" d="M0 0h{side}v{side}h-{side}z"/><path fill="{color}" d="{"".join(moves)}"/></svg>'
    )


def _check_pdf(slug: str, content: bytes) -> None:
    try:
        document = pypdfium2.PdfDocument(content)
    except pypdfium2.PdfiumError as error:
        if "password" in str(error).lower():
            raise RenderError(f"The asset {slug!r} is an encrypted PDF; save it without a password") from error
        raise RenderError(f"The asset {slug!r} is no PDF that can be read; save it again as PDF") from error
    try:
        if len(document) == 0:
            raise RenderError(f"The asset {slug!r} has no page; save it again as PDF")
    finally:
        document.close()


def _check_code_is_readable(code: str, content: bytes) -> None:
    """Raise RenderError when the verification code is not in the text of the document."""
    # PDFium takes two milliseconds to load colour profiles, most of this check. The text does not depend on colours.
    document = pypdfium2.PdfDocument(_PROFILE.sub(lambda match: b"/DeviceRGB".ljust(len(match[0])), content))
    try:
        for number in range(len(document)):
            page = document[number]
            text_page = page.get_textpage()
            text = text_page.get_text_bounded()
            text_page.close()
            page.close()
            if code.casefold() in re.sub(r"\s", "", text).casefold():
                return
    finally:
        document.close()
    raise RenderError(
        "The verification code is not in the text of the finished document; put {verify_code} or {verify_url} into a "
        "text that is on the page, in a font that has its letters (a .typ template shows sys.inputs.verify_code)",
        everyone=True,
    )


def _check_fonts_are_known(warnings: list[typst.TypstWarning]) -> None:
    for warning in warnings:
        if warning.message.startswith("unknown font family"):
            family = warning.message.partition(":")[2].strip()
            raise RenderError(
                f"The template asks for the font {family!r}, which is not here; upload it as an asset and name that in "
                "fonts, or install it",
                everyone=True,
            )


def _message_of(error: Exception, values: dict[str, str] | None = None) -> str:
    """Return typst's message without folders and without the learner's data, because messages are kept for long."""
    message = getattr(error, "message", None) or str(error)
    for key, value in sorted((values or {}).items(), key=lambda item: len(item[1]), reverse=True):
        if len(value) > 2:  # shorter texts identify nobody, and are part of every sentence
            for written in (value, json.dumps(value, ensure_ascii=False)[1:-1]):
                message = message.replace(written, f"{{{key}}}")
    if package := _PACKAGE.search(message):
        return f"it imports the package {package[1]}, and none are downloaded"
    for lead in ("failed to compile document:", "assertion failed:", "panicked with:"):
        message = message.replace(lead, "").strip()
    return re.sub(r"\s+", " ", re.sub(r"\(searched at [^)]*\)|/\S*/", "", message)).strip()[:300]


def _line_of(error: Exception) -> str:
    """Return the line of the template that typst points at, as " (line 7)", or "" when it names none."""
    match = re.search(r"([\w.-]+\.typ):(\d+):\d+", getattr(error, "diagnostic", "") or "")
    return f" (line {match[2]})" if match else ""


class Worker:
    """Answers requests, one at a time."""

    def __init__(self, setup: Request):
        self.seconds: float = setup["seconds"]
        self.folders = [Path(folder) for folder in setup["folders"]]
        self.machine = FontCatalog(self.folders)
        self.templates: OrderedDict[str, Template] = OrderedDict()
        self.used_folders: set[str] = set()

    def answer(self, request: Request) -> bytes:
        """Return the encoded answer to a request."""
        # Ends this process in the middle of anything, even when there is no parent to kill it.
        signal.setitimer(signal.ITIMER_REAL, self.seconds)
        try:
            return messages.encode({"ok": True}, self._do(request))
        except RenderError as error:
            return messages.encode({"ok": False, "error": str(error), "everyone": error.everyone})
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)

    def _do(self, request: Request) -> bytes:
        name = request["id"]
        if request["do"] == "open":
            self.used_folders.add(request["folder"])
            self.templates[name] = Template(request, self.machine, self.folders)
            if len(self.templates) > MAX_TEMPLATES:
                self.templates.popitem(last=False)
            return b""
        if request["do"] == "close":
            self.templates.pop(name, None)
            self.used_folders.discard(request["folder"])
            return b""
        self.templates.move_to_end(name)
        return self.templates[name].make(request)


def main() -> None:
    """Answer requests from standard input until it ends."""
    requests, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    # What a library prints must not get between the answers.
    os.dup2(2, 1)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    setup, _ = messages.decode(requests.read)
    resource.setrlimit(resource.RLIMIT_DATA, (setup["bytes"], setup["bytes"]))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    worker = Worker(setup)
    try:
        while True:
            request, _ = messages.decode(requests.read)
            if request["do"] == "make" and request["id"] not in worker.templates:
                answers.write(messages.encode({"ok": False, "unknown": True}))
            else:
                answers.write(worker.answer(request))
            answers.flush()
    except (EOFError, BrokenPipeError):
        for folder in worker.used_folders:
            shutil.rmtree(folder, ignore_errors=True)
        sys.exit(0)


if __name__ == "__main__":
    main()
