"""
The options of scheduled credentials: merging them, reading the layout of a page, filling in placeholders. Pure.

A configuration's options are merged over those of its type (``merge``). ``read_layout`` reads what a page shows. It
takes the same JSON as learning-credentials (``template``, ``template_multiline``, ``defaults``, ``text_elements``),
plus positions, alignment, widths, images and a QR code. Every error names the path and what to write instead.

Lengths are points. Positions are counted from the lower left corner of the page, as in PDF.

No JSON Schema checks the layout, because its messages name a rule and not the remedy, and it knows nothing of similar
keys, old forms, placeholders or numbers that are not finite. The values have to be read into a ``Layout`` anyway, so a
schema would repeat every rule.
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

JSON = Any
Options = Mapping[str, JSON]

PLACEHOLDERS = ("name", "context_name", "issue_date", "verify_url", "verify_code")
# What learning-credentials calls the code on the document.
_ALIASES = {"verify_uuid": "verify_code"}
ALIGNMENTS = ("left", "center", "right")
# The longest side that all PDF readers show.
MAX_LENGTH = 14400.0

_BRACES = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]")
_SLUG = re.compile(r"[\w.-]{1,150}", re.ASCII)
_COLOR = re.compile(r"#?([0-9a-fA-F]{3}|[0-9a-fA-F]{6})")


# -- merging -----------------------------------------------------------------------------------------------------------


def merge(base: Options, over: Options) -> dict[str, JSON]:
    """
    Return ``base`` with the values of ``over``. Objects are merged key by key; any other value replaces the old one.

    ``null`` removes a key, so that a configuration can undo an option of its type.
    """
    merged = dict(base)
    for key, value in over.items():
        old = merged.get(key)
        if value is None:
            merged.pop(key, None)
        elif isinstance(value, Mapping):
            merged[key] = merge(old if isinstance(old, Mapping) else {}, value)
        else:
            merged[key] = value
    return merged


# -- placeholders ------------------------------------------------------------------------------------------------------


def fill(text: str, values: Mapping[str, str]) -> str:
    """
    Return ``text`` with the values of its placeholders. ``{{`` and ``}}`` become braces.

    Values are inserted as they are, also when one looks like a placeholder.
    """

    def value(match: re.Match[str]) -> str:
        if match[0] in ("{{", "}}"):
            return match[0][0]
        key = _ALIASES.get(match[1] or "", match[1])
        return values[key] if key in PLACEHOLDERS else match[0]

    return _BRACES.sub(value, text)


def placeholders(text: str) -> set[str]:
    """Return the names of the placeholders in a text."""
    named = (_ALIASES.get(match[1] or "", match[1]) for match in _BRACES.finditer(text))
    return {name for name in named if name in PLACEHOLDERS}


def unknown_placeholders(text: str) -> list[str]:
    """Return the parts of a text that have braces but are neither placeholders nor escaped braces."""
    return [
        match[0]
        for match in _BRACES.finditer(text)
        if match[0] not in ("{{", "}}") and _ALIASES.get(match[1] or "", match[1]) not in PLACEHOLDERS
    ]


# -- the layout --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class TextElement:
    """
    A text on the page.

    ``x`` None is the middle of the page. ``max_width`` None is nearly all the free width. A text that is too wide for
    one line shrinks down to ``min_size`` (None: six tenths of ``size``). Then it is wrapped into ``max_lines``.
    """

    key: str
    text: str
    y: float
    x: float | None = None
    align: str = "center"
    font: str = ""
    color: str = "#000000"
    size: float = 12.0
    char_space: float = 0.0
    uppercase: bool = False
    line_height: float = 1.1
    max_width: float | None = None
    max_lines: int = 3
    min_size: float | None = None


@dataclass(frozen=True, slots=True)
class ImageElement:
    """An image asset with its lower left corner at (x, y). When width or height is None, it follows from the other."""

    asset: str
    x: float
    y: float
    width: float | None = None
    height: float | None = None


@dataclass(frozen=True, slots=True)
class QrElement:
    """The verification address as a QR code."""

    x: float
    y: float
    size: float
    color: str = "#000000"


@dataclass(frozen=True, slots=True)
class Layout:
    """
    What the page of a document shows.

    ``files`` are more assets that a ``.typ`` template uses. ``drawn`` tells whether the options describe elements of
    the page, which is wrong for a ``.typ`` template: it draws its page itself.
    """

    template: str
    template_multiline: str | None = None
    texts: tuple[TextElement, ...] = ()
    images: tuple[ImageElement, ...] = ()
    qr: QrElement | None = None
    page: tuple[float, float] | None = None
    files: tuple[str, ...] = ()
    fonts: tuple[str, ...] = ()
    drawn: bool = False


LAYOUT_KEYS = ("template", "template_multiline", "defaults", "text_elements", "images", "qr", "page", "files", "fonts")
_DEFAULT_KEYS = (
    *("font", "color", "size", "char_space", "uppercase", "line_height"),
    *("x", "align", "max_width", "max_lines", "min_size"),
)
_ELEMENT_KEYS = ("text", "y", *_DEFAULT_KEYS)
# Every document shows the verification code: in the element ``code``, unless another element shows it.
STANDARD_ELEMENTS: dict[str, dict[str, JSON]] = {
    "name": {"text": "{name}", "y": 290, "size": 32},
    "context": {"text": "{context_name}", "y": 220, "size": 28},
    "date": {"text": "{issue_date}", "y": 120, "size": 12},
    "code": {"text": "{verify_url}", "y": 24, "size": 8},
}
_FLAT = re.compile(r"(name|context_name|issue_date)_(x|y|size|font|color|uppercase|char_space)")


def read_layout(options: Options) -> tuple[Layout | None, list[str]]:
    """Return the layout that the options describe and no errors, or None and the errors."""
    reader = _Reader()
    layout = reader.layout(options)
    return (None if reader.errors else layout), reader.errors


def similar_keys(given: Collection[str], known: Collection[str]) -> list[tuple[str, str]]:
    """
    Return each key that is similar to a known one, with that one.

    Processor and generator share the options, so a key that resembles no known one is not wrong.
    """
    pairs = []
    for key in given:
        near = [] if key in known else difflib.get_close_matches(key.lower(), known, n=1, cutoff=0.8)
        pairs += [(key, name) for name in near]
    return pairs


@dataclass
class _Reader:
    """Reads values and collects their errors."""

    errors: list[str] = field(default_factory=list)

    def _add_error(self, path: str, remedy: str) -> None:
        self.errors.append(f"{path}: {remedy}")

    def layout(self, options: Options) -> Layout:
        self._check_keys(options)
        template = self._slug("template", options.get("template")) if options.get("template") else ""
        if not options.get("template"):
            self._add_error("template", "this is missing; write the slug of the asset that is the page")
        multiline = options.get("template_multiline")
        texts = self._texts(options)
        drawn = [key for key in ("defaults", "text_elements", "images", "qr", "page") if options.get(key)]
        return Layout(
            template=template,
            template_multiline=None if not multiline else self._slug("template_multiline", multiline),
            texts=texts,
            images=self._images(options.get("images", [])),
            qr=self._qr(options.get("qr")),
            page=self._page(options.get("page")),
            files=self._slugs("files", options.get("files", [])),
            fonts=self._slugs("fonts", options.get("fonts", [])),
            drawn=bool(drawn),
        )

    def _check_keys(self, options: Options) -> None:
        for key in options:
            flat = _FLAT.fullmatch(key)
            if flat:
                element = {"context_name": "context", "issue_date": "date"}.get(flat[1], flat[1])
                self._add_error(key, f"this form is no longer read; write text_elements.{element}.{flat[2]}")
            elif key == "template_two_lines":
                self._add_error(key, "this form is no longer read; write template_multiline")
        for key, near in similar_keys([key for key in options if not _FLAT.fullmatch(key)], LAYOUT_KEYS):
            if key != "template_two_lines":
                self._add_error(key, f"there is no such key; write {near}")

    def _texts(self, options: Options) -> tuple[TextElement, ...]:
        defaults = self._object("defaults", options.get("defaults", {}), _DEFAULT_KEYS)
        # Read separately, so that an error in the defaults is reported once and with their path.
        shared = self._styled("defaults", defaults)
        given = self._object("text_elements", options.get("text_elements", {}), None)
        texts = []
        for key in [*STANDARD_ELEMENTS, *(key for key in given if key not in STANDARD_ELEMENTS)]:
            path, own, standard = f"text_elements.{key}", given.get(key, {}), STANDARD_ELEMENTS.get(key, {})
            if own is False:
                continue
            if not isinstance(own, Mapping):
                self._add_error(path, "this must be an object, or false to leave the element out")
                continue
            own = self._object(path, own, _ELEMENT_KEYS)
            # Given values win over standard ones, and values of the element over the defaults.
            style = {**{k: v for k, v in standard.items() if k == "size"}, **shared, **self._styled(path, own)}
            text = self._text(f"{path}.text", own.get("text", standard.get("text")))
            y = self._number(f"{path}.y", own.get("y", standard.get("y")), -MAX_LENGTH, MAX_LENGTH)
            texts.append(TextElement(key=key, text=text, y=y, **style))
        if not any(placeholders(text.text) & {"verify_code", "verify_url"} for text in texts) and not self.errors:
            self._add_error(
                "text_elements",
                "no element shows the verification code; put {verify_code} or {verify_url} into one of the texts, "
                "or do not leave out the element code",
            )
        return tuple(texts)

    def _styled(self, path: str, given: Options) -> dict[str, JSON]:
        """Return the style values that are given and valid."""
        readers: dict[str, Callable[[str, JSON], JSON]] = {
            "font": self._font,
            "color": self._color,
            "size": lambda at, value: self._number(at, value, 1, 1000),
            "char_space": lambda at, value: self._number(at, value, -100, 100),
            "uppercase": self._boolean,
            "line_height": lambda at, value: self._number(at, value, 0.5, 10),
            "x": lambda at, value: self._number(at, value, -MAX_LENGTH, MAX_LENGTH),
            "align": lambda at, value: self._choice(at, value, ALIGNMENTS),
            "max_width": lambda at, value: self._number(at, value, 1, MAX_LENGTH),
            "max_lines": lambda at, value: int(self._number(at, value, 1, 100)),
            "min_size": lambda at, value: self._number(at, value, 1, 1000),
        }
        style = {}
        for key, reader in readers.items():
            if given.get(key) is not None:
                before = len(self.errors)
                value = reader(f"{path}.{key}", given[key])
                if len(self.errors) == before:
                    style[key] = value
        return style

    def _images(self, given: JSON) -> tuple[ImageElement, ...]:
        if not isinstance(given, list):
            self._add_error(
                "images", 'this must be a list of objects like {"asset": "seal", "x": 40, "y": 40, "width": 90}'
            )
            return ()
        images = []
        for number, entry in enumerate(given):
            path = f"images.{number}"
            entry = self._object(path, entry, ("asset", "x", "y", "width", "height"))
            images.append(
                ImageElement(
                    asset=self._slug(f"{path}.asset", entry.get("asset")),
                    x=self._number(f"{path}.x", entry.get("x"), -MAX_LENGTH, MAX_LENGTH),
                    y=self._number(f"{path}.y", entry.get("y"), -MAX_LENGTH, MAX_LENGTH),
                    width=self._length(f"{path}.width", entry.get("width")),
                    height=self._length(f"{path}.height", entry.get("height")),
                )
            )
            if entry.get("width") is None and entry.get("height") is None:
                self._add_error(path, "this needs a width or a height in points, or both")
        return tuple(images)

    def _qr(self, given: JSON) -> QrElement | None:
        if given is None or given is False:
            return None
        given = self._object("qr", given, ("x", "y", "size", "color"))
        return QrElement(
            x=self._number("qr.x", given.get("x"), -MAX_LENGTH, MAX_LENGTH),
            y=self._number("qr.y", given.get("y"), -MAX_LENGTH, MAX_LENGTH),
            # Phones stop reading below about 15 mm.
            size=self._number("qr.size", given.get("size", 80), 40, MAX_LENGTH),
            color=self._color("qr.color", given.get("color", "#000")),
        )

    def _page(self, given: JSON) -> tuple[float, float] | None:
        if given is None:
            return None
        given = self._object("page", given, ("width", "height"))
        return (
            self._number("page.width", given.get("width"), 10, MAX_LENGTH),
            self._number("page.height", given.get("height"), 10, MAX_LENGTH),
        )

    # Each method returns a value of the right type, whatever is given, so that reading can go on.

    def _object(self, path: str, given: JSON, known: Collection[str] | None) -> Options:
        if not isinstance(given, Mapping):
            self._add_error(path, "this must be an object, in braces")
            return {}
        if known is None:
            return given
        for key in given:
            if key not in known:
                near = difflib.get_close_matches(key.lower(), known, n=1)
                self._add_error(
                    f"{path}.{key}",
                    f"there is no such key; write {near[0]}"
                    if near
                    else f"there is no such key; known are {', '.join(known)}",
                )
        return {key: value for key, value in given.items() if key in known}

    def _number(self, path: str, given: JSON, low: float, high: float) -> float:
        if type(given) is int:  # an integer that no float can hold is out of bounds too
            given = max(min(given, 10**100), -(10**100))
        if given is None:
            self._add_error(path, f"this is missing; write a number between {low:g} and {high:g}")
        elif isinstance(given, bool) or not isinstance(given, (int, float)) or not math.isfinite(given):
            self._add_error(path, f"this must be a number, without quotes, between {low:g} and {high:g}")
        elif not low <= given <= high:
            self._add_error(path, f"{given:g} is out of bounds; write a number between {low:g} and {high:g}")
        else:
            return float(given)
        return low

    def _length(self, path: str, given: JSON) -> float | None:
        return None if given is None else self._number(path, given, 1, MAX_LENGTH)

    def _boolean(self, path: str, given: JSON) -> bool:
        if not isinstance(given, bool):
            self._add_error(path, "write true or false, without quotes")
        return given is True

    def _choice(self, path: str, given: JSON, choices: Collection[str]) -> str:
        if given not in choices:
            self._add_error(path, f"write one of {', '.join(choices)}")
        return str(given)

    def _color(self, path: str, given: JSON) -> str:
        match = _COLOR.fullmatch(given) if isinstance(given, str) else None
        if match is None:
            self._add_error(path, 'write a colour as "#rgb" or "#rrggbb"')
            return "#000000"
        digits = match[1] if len(match[1]) == 6 else "".join(digit * 2 for digit in match[1])
        return f"#{digits.lower()}"

    def _font(self, path: str, given: JSON) -> str:
        if not isinstance(given, str) or not given.strip() or len(given) > 150:
            self._add_error(path, "write the slug of a font asset, or the name of a font family")
        return str(given).strip()

    def _slug(self, path: str, given: JSON) -> str:
        if not isinstance(given, str) or not _SLUG.fullmatch(given):
            self._add_error(path, "write the slug of an asset: letters, digits, dots, hyphens and underscores")
        return str(given)

    def _slugs(self, path: str, given: JSON) -> tuple[str, ...]:
        if not isinstance(given, list):
            self._add_error(path, "this must be a list of the slugs of assets")
            return ()
        return tuple(self._slug(f"{path}.{number}", slug) for number, slug in enumerate(given))

    def _text(self, path: str, given: JSON) -> str:
        if not isinstance(given, str):
            self._add_error(path, "this is missing; write the text, with placeholders like {name}")
            return ""
        if len(given) > 5000:
            self._add_error(path, "this is too long; write at most 5000 letters")
        for braces in unknown_placeholders(given):
            near = difflib.get_close_matches(braces.strip("{}").strip().lower(), PLACEHOLDERS, n=1)
            named = f"write {{{near[0]}}}" if near else f"known are {', '.join(f'{{{name}}}' for name in PLACEHOLDERS)}"
            self._add_error(path, f"{braces} is no placeholder; {named}; a brace itself is written twice")
        return given
