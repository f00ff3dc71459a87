"""
The process that runs the typst engine and looks at what it made: started, limited and killed by ``renderer``.

Templates come from people: one may loop, eat memory, or be a file that a decoder stumbles over. So all of that happens
in a process of its own, without the host's environment (where passwords live), with an alarm that ends it in the middle
of anything, a limit on memory, and proxies that lead nowhere, so that no template downloads packages. It ends by
itself, and tidies up, when its parent is gone. It imports no framework.

Requests: ``open`` loads a template from a folder that holds everything it may read; ``make`` makes a document of it.
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

from credentials_config.generators.pdf import wire
from credentials_config.generators.pdf.fonts import FontCatalog, MissingLetter

Request = dict[str, Any]
# Templates that are kept loaded.
KEPT = 16
# Letters without a space; what is longer may be broken anywhere.
LONGEST_WORD = 60
_PAGE = Path(__file__).with_name("page.typ")
_PROFILE = re.compile(rb"\[/ICCBased \d+ \d+ R\]")
_LANGUAGE = re.compile(r"([a-zA-Z]{2,3})(?:[-_]([a-zA-Z]{4}))?(?:[-_]([a-zA-Z]{2}))?")
_PACKAGE = re.compile(r"(?:failed to download package|package not found)[^@]*?(@?[\w-]+[/-][\w:.-]+?)(?:\.tar|\))")
# Letters of these scripts are joined, so they are never spaced out.
_JOINED = ("ARABIC", "SYRIAC", "MONGOLIAN", "NKO", "MANDAIC", "DEVANAGARI", "BENGALI", "GURMUKHI")
# Typst says of documents in Arabic or Hebrew that pages are read from the right. On a single page that means nothing,
# but PDFium, and with it Chrome, then turns around all words that are copied, the verification address included.
_RIGHT_TO_LEFT, _LEFT_TO_RIGHT = b"/ViewerPreferences<</Direction/R2L>>", b"/ViewerPreferences<</Direction/L2R>>"


class Refusal(Exception):
    """It cannot be done: ``message`` says why and what to do. ``everyone``: it would be so for every learner."""

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
            self._settle()
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
            raise Refusal(
                f"The asset {slug!r} is no font that can be read; upload a TrueType or OpenType file (.ttf, .otf)"
            )
        style = info.style if info.style in ("normal", "italic", "oblique") else "normal"
        stretch = info.stretch * 100 if info.stretch <= 4 else info.stretch
        return {"family": info.family, "weight": info.weight, "style": style, "stretch": stretch}

    def _measured(self, page: Request) -> Request:
        """Return the size of a page's template, having looked whether it can be read at all."""
        if page["kind"] == "typ":
            return {"width": 0, "height": 0}
        if page["kind"] == "pdf":
            _look_at_pdf(page["slug"], (self.folder / page["file"]).read_bytes())
        size = self.measure(page["slug"], page["file"])
        if page["width"] is None and page["kind"] != "pdf":
            # A picture has no size of its own on paper: its longer side is that of A4.
            scale = 841.89 / max(size)
            size = (size[0] * scale, size[1] * scale)
        return {"width": page["width"] or size[0], "height": page["height"] or size[1]}

    def measure(self, slug: str, file: str) -> tuple[float, float]:
        """Return the natural size of a picture in points."""
        probe = self.folder / "probe.typ"
        probe.write_text(f"#context [#metadata(measure(image({json.dumps(file)}))) <size>]")
        try:
            found = json.loads(self._compiler(probe.name).query("<size>", field="value", one=True))
        except (typst.TypstError, RuntimeError) as error:
            raise Refusal(
                f"The asset {slug!r} cannot be used as a picture: {_plain(error)}; open it in a drawing program and "
                "save it again as PDF, PNG, JPEG or SVG"
            ) from error
        finally:
            probe.unlink()
        width, height = (float(found[side].removesuffix("pt")) for side in ("width", "height"))
        if width < 1 or height < 1:
            raise Refusal(f"The asset {slug!r} is empty; give its drawing a width and a height")
        return width, height

    def _settle(self) -> None:
        """Write down, for page.typ, what is the same on all documents."""
        layout = self.layout
        assert layout is not None
        for element in layout["texts"]:
            element |= self._face(element)
            element |= {"places": [_room(element, page["width"]) for page in self.pages]}
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
            raise Refusal(
                f"There is no font {named!r} (text_elements.{element['key']}.font): neither an asset nor a font family "
                "of this machine. Upload the font as an asset with this slug, or install it"
            )
        return {"family": family, "weight": 400, "style": "normal", "stretch": 100}

    def make(self, request: Request) -> bytes:
        """Return the finished document."""
        inputs = self._for_page(request) if self.layout is not None else self._for_own(request)
        compiler = self.compilers[0 if self.layout is not None else request["page"]]
        try:
            if request["strict"]:
                document, warnings = compiler.compile_with_warnings(sys_inputs=inputs, timestamp=0, format="pdf")
                _no_unknown_fonts(warnings)
            else:
                document = compiler.compile(sys_inputs=inputs, timestamp=0, format="pdf")
        except (typst.TypstError, RuntimeError) as error:
            raise self._refusal(error, request["page"], request["words"]) from error
        assert isinstance(document, bytes)
        document = document.replace(_RIGHT_TO_LEFT, _LEFT_TO_RIGHT)
        _look_for(request["words"]["verify_code"], document)
        return document

    def _refusal(self, error: Exception, page: int, words: dict[str, str]) -> Refusal:
        said = _plain(error, words)
        if said.startswith("text_elements."):
            return Refusal(said)
        if self.layout is not None:
            return Refusal(f"typst cannot set the page: {said}; check the template and the pictures of the options")
        where = _place(error)
        slug = self.pages[page]["slug"]
        return Refusal(f"The template {slug!r} is broken{where}: {said}; repair it and upload it again")

    def _for_page(self, request: Request) -> dict[str, str]:
        assert self.layout is not None
        language = request["words"]["language"]
        texts = [
            self._content(element, text, language)
            for element, text in zip(self.layout["texts"], request["texts"], strict=True)
        ]
        lang, region = _language(language)
        url = request["words"]["verify_url"]
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
            "pieces": _pieces(text),
        }

    def _stack(self, text: str, family: str, language: str) -> list[str]:
        try:
            return self.catalog.stack(text, family, language)
        except MissingLetter as error:
            raise Refusal(
                f"No font here has the letter U+{ord(error.letter):04X}; install the Noto fonts (Debian: "
                "fonts-noto-core, fonts-noto-cjk, fonts-noto-color-emoji) or upload a font that has it and name it "
                "in the options"
            ) from error

    def _for_own(self, request: Request) -> dict[str, str]:
        words = request["words"]
        self._stack("".join(words.values()), self.catalog.standard(), words["language"])
        return {
            **words,
            "words": json.dumps(words, ensure_ascii=False),
            "qr": _qr(words["verify_url"], "#000000"),
            "lang": _language(words["language"])[0],
            "rtl": "true" if _is_rtl(words["name"]) else "false",
        }


def _room(element: dict[str, Any], page_width: float) -> dict[str, float]:
    """Return where an element's line begins, and how wide it may be."""
    x = page_width / 2 if element["x"] is None else element["x"]
    free = {"left": page_width - x, "right": x, "center": 2 * min(x, page_width - x)}[element["align"]]
    room = element["max_width"] or max(free * (0.9 if element["align"] == "center" else 0.95), 1)
    left = {"left": x, "right": x - room, "center": x - room / 2}[element["align"]]
    return {"left": left, "room": room}


def _breakable(line: str) -> list[str]:
    """Return a line in parts, between which it may be broken besides at spaces: only endless words have any."""
    parts = [""]
    for word in re.findall(r"\s+|\S+", line):
        if len(word) <= LONGEST_WORD or not _has_spaces_between_words(word):
            parts[-1] += word
        else:
            step = LONGEST_WORD // 2
            parts[-1] += word[:step]
            parts += [word[at : at + step] for at in range(step, len(word), step)]
    return parts


def _has_spaces_between_words(word: str) -> bool:
    """Return whether a script parts its words with spaces; Chinese, Thai and their neighbours break elsewhere."""
    return not any(
        "\u0e00" <= letter <= "\u0eff"
        or "\u1000" <= letter <= "\u109f"
        or "\u1780" <= letter <= "\u17ff"
        or unicodedata.east_asian_width(letter) in "WF"
        for letter in word
    )


def _pieces(text: str) -> list[str]:
    """Return the longest of what a line break never parts, to see how small it has to be."""
    pieces = []
    for word in text.split():
        if _has_spaces_between_words(word):
            pieces += _breakable(word)
        else:
            # Where a dictionary says: few words are longer than this.
            wide = all(unicodedata.east_asian_width(letter) in "WF" for letter in word)
            step = 2 if wide else 16
            pieces += [word[at : at + step] for at in range(0, len(word), step)]
    return sorted(set(pieces), key=len, reverse=True)[:8] or [""]


def _is_rtl(text: str) -> bool:
    """Return whether a text begins, as the bidirectional algorithm sees it, from the right."""
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

    The mask is a fixed one: choosing the best of eight costs most of the time, and readers read them all.
    """
    try:
        matrix = segno.make(url, error="m", micro=False, mask=3).matrix
    except segno.DataOverflowError as error:
        raise Refusal("The verification address is too long for a QR code; shorten it", everyone=True) from error
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


def _look_at_pdf(slug: str, content: bytes) -> None:
    try:
        document = pypdfium2.PdfDocument(content)
    except pypdfium2.PdfiumError as error:
        if "password" in str(error).lower():
            raise Refusal(f"The asset {slug!r} is an encrypted PDF; save it without a password") from error
        raise Refusal(f"The asset {slug!r} is no PDF that can be read; save it again as PDF") from error
    try:
        if len(document) == 0:
            raise Refusal(f"The asset {slug!r} has no page; save it again as PDF")
    finally:
        document.close()


def _look_for(code: str, content: bytes) -> None:
    """Make sure that people can read the code on the document, whatever the template did."""
    # Colour profiles take PDFium two milliseconds to load, most of this look; what is said does not depend on colours.
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
    raise Refusal(
        "The verification code is not in the text of the finished document; put {verify_code} or {verify_url} into a "
        "text that is on the page, in a font that has its letters (a .typ template shows sys.inputs.verify_code)",
        everyone=True,
    )


def _no_unknown_fonts(warnings: list[typst.TypstWarning]) -> None:
    for warning in warnings:
        if warning.message.startswith("unknown font family"):
            family = warning.message.partition(":")[2].strip()
            raise Refusal(
                f"The template asks for the font {family!r}, which is not here; upload it as an asset and name that in "
                "fonts, or install it",
                everyone=True,
            )


def _plain(error: Exception, words: dict[str, str] | None = None) -> str:
    """Return what typst says, without folders and quotes around it, nor the learner's words: it is kept for long."""
    said = getattr(error, "message", None) or str(error)
    for key, word in sorted((words or {}).items(), key=lambda item: len(item[1]), reverse=True):
        if len(word) > 2:  # what is shorter says nothing about anybody, and stands in every sentence
            said = said.replace(word, f"{{{key}}}").replace(json.dumps(word, ensure_ascii=False)[1:-1], f"{{{key}}}")
    if package := _PACKAGE.search(said):
        return f"it imports the package {package[1]}, and none are downloaded"
    for lead in ("failed to compile document:", "assertion failed:", "panicked with:"):
        said = said.replace(lead, "").strip()
    return re.sub(r"\s+", " ", re.sub(r"\(searched at [^)]*\)|/\S*/", "", said)).strip()[:300]


def _place(error: Exception) -> str:
    """Return the line of the template that typst points at."""
    match = re.search(r"([\w.-]+\.typ):(\d+):\d+", getattr(error, "diagnostic", "") or "")
    return f" (line {match[2]})" if match else ""


class Worker:
    """Answers requests, one at a time."""

    def __init__(self, setup: Request):
        self.seconds: float = setup["seconds"]
        self.folders = [Path(folder) for folder in setup["folders"]]
        self.machine = FontCatalog(self.folders)
        self.templates: OrderedDict[str, Template] = OrderedDict()
        self.known: set[str] = set()

    def answer(self, request: Request) -> bytes:
        """Return the answer to a request, with its document behind."""
        # Ends this process in the middle of whatever it is doing, even when nobody is left to kill it.
        signal.setitimer(signal.ITIMER_REAL, self.seconds)
        try:
            return wire.packed({"ok": True}, self._do(request))
        except Refusal as refusal:
            return wire.packed({"ok": False, "error": str(refusal), "everyone": refusal.everyone})
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)

    def _do(self, request: Request) -> bytes:
        name = request["id"]
        if request["do"] == "open":
            self.known.add(request["folder"])
            self.templates[name] = Template(request, self.machine, self.folders)
            if len(self.templates) > KEPT:
                self.templates.popitem(last=False)
            return b""
        if request["do"] == "close":
            self.templates.pop(name, None)
            self.known.discard(request["folder"])
            return b""
        self.templates.move_to_end(name)
        return self.templates[name].make(request)


def main() -> None:
    """Answer requests from standard input until it ends."""
    requests, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    # Whatever a library prints must not stand between the answers.
    os.dup2(2, 1)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    setup, _ = wire.unpack(requests.read)
    resource.setrlimit(resource.RLIMIT_DATA, (setup["bytes"], setup["bytes"]))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    worker = Worker(setup)
    try:
        while True:
            request, _ = wire.unpack(requests.read)
            if request["do"] == "make" and request["id"] not in worker.templates:
                answers.write(wire.packed({"ok": False, "unknown": True}))
            else:
                answers.write(worker.answer(request))
            answers.flush()
    except (EOFError, BrokenPipeError):
        for folder in worker.known:
            shutil.rmtree(folder, ignore_errors=True)
        sys.exit(0)


if __name__ == "__main__":
    main()
