"""
Fonts: which letters one has, and which to take for a text. Knows typst and font files, nothing else of this package.

Typst would fall back by itself, but draws an empty box for a letter that no font has, and which font it takes depends
on what else is installed. So the stack of fonts is chosen here, in a fixed order, and a letter without a font is an
error.
"""

from __future__ import annotations

import functools
import struct
import unicodedata
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from pathlib import Path

import typst

# What a page is set in when nothing is said, the best first. The last comes with typst itself.
STANDARD_FAMILIES = ("Noto Sans", "Libertinus Serif")
# Fonts that every PDF reader has, and that learning-credentials used: they mean "no special font".
_GENERIC = {"helvetica", "arial", "sans-serif"}
_CJK = {"ja": "JP", "ko": "KR", "zh-hant": "TC", "zh-tw": "TC", "zh-hk": "HK", "zh-mo": "HK"}

Ranges = tuple[list[int], list[int]]
# Fonts that come with typst have no file to look into; these ranges they certainly have.
_EMBEDDED: Ranges = (
    [0x20, 0xA0, 0x391, 0x3A3, 0x410, 0x2013, 0x2018],
    [0x7E, 0x17F, 0x3A1, 0x3C9, 0x44F, 0x2014, 0x201D],
)


class MissingLetter(Exception):
    """No font has this letter."""

    def __init__(self, letter: str):
        super().__init__(letter)
        self.letter = letter


class FontCatalog:
    """The fonts of some folders: those of the machine, or with a renderer's own ones in front."""

    def __init__(self, folders: Iterable[Path]):
        self.fonts = typst.Fonts(
            include_system_fonts=False, include_embedded_fonts=True, font_paths=[str(folder) for folder in folders]
        )
        self._faces: dict[str, tuple[str | None, int]] = {}
        for info in self.fonts.fonts():
            # The upright regular face stands for its family.
            if info.family not in self._faces or (info.weight == 400 and info.style == "normal"):
                self._faces[info.family] = (info.path, info.index)
        self._order = sorted(self._faces, key=_preference)
        self._found: dict[tuple[str, str], str] = {}

    def family(self, name: str) -> str | None:
        """Return the family of this name as it is spelt, whatever the case; generic names give the standard one."""
        if name.strip().lower() in _GENERIC:
            return self.standard()
        return next((family for family in self._faces if family.lower() == name.strip().lower()), None)

    def standard(self) -> str:
        """Return the family for texts that name none."""
        return next(family for family in STANDARD_FAMILIES if family in self._faces)

    def in_file(self, path: Path) -> typst.FontInfo | None:
        """Return what is in a font file, or None when it is no font."""
        return next((info for info in self.fonts.fonts() if info.path and Path(info.path) == path), None)

    def stack(self, text: str, first: str, language: str) -> list[str]:
        """Return the families to set a text in: ``first``, then as few others as its letters need."""
        stack, group = [first], _CJK.get(language.lower(), _CJK.get(language.lower().split("-")[0], "SC"))
        for letter in unicodedata.normalize("NFC", text):
            if not _is_drawn(letter) or any(self.has(family, letter) for family in stack):
                continue
            stack.append(self._family_with(letter, group))
        return stack

    def has(self, family: str, letter: str) -> bool:
        """Return whether a family has a letter."""
        starts, ends = _letters(*self._faces[family])
        at = bisect_right(starts, ord(letter)) - 1
        return at >= 0 and ord(letter) <= ends[at]

    def _family_with(self, letter: str, group: str) -> str:
        key = (letter, group)
        if key not in self._found:
            preferred = f"Noto Sans CJK {group}"
            order = [family for family in self._order if " CJK " not in family or family == preferred]
            order += [family for family in self._order if " CJK " in family]
            found = next((family for family in order if self.has(family, letter)), None)
            if found is None:
                raise MissingLetter(letter)
            self._found[key] = found
        return self._found[key]


def _preference(family: str) -> tuple[int, str]:
    """Return where a family stands in the order of fallbacks."""
    if family in STANDARD_FAMILIES[:1]:
        return 0, family
    if family.endswith((" UI", " Mono", " Display")) or " Mono " in family:
        return 8, family
    if family.startswith("Noto Sans ") and not any(word in family for word in ("CJK", "Symbols", "Math")):
        return 1, family
    if family.startswith("Noto ") and "Emoji" in family:
        return 2, family
    if "CJK" in family:
        return 3 if "Sans" in family else 5, family
    if family.startswith("Noto Sans "):
        return 4, family
    return (6 if family.startswith("Noto ") else 7), family


def _is_drawn(letter: str) -> bool:
    """Return whether a letter needs a glyph: joiners, variation selectors and spaces do not."""
    if letter.isspace() or 0xFE00 <= ord(letter) <= 0xFE0F or 0xE0000 <= ord(letter) <= 0xE0FFF:
        return False
    return unicodedata.category(letter) not in ("Cf", "Cc")


@functools.cache
def _letters(path: str | None, index: int) -> Ranges:
    """Return the letters that a font file has, as sorted ranges."""
    if path is None:
        return _EMBEDDED
    ranges = sorted(_ranges(Path(path).read_bytes(), index))
    return [start for start, _ in ranges], [end for _, end in ranges]


def _ranges(data: bytes, index: int) -> Iterator[tuple[int, int]]:
    """Yield the ranges of letters in a font's character map (OpenType, table ``cmap``, formats 4 and 12)."""
    directory = struct.unpack_from(">I", data, 12 + 4 * index)[0] if data[:4] == b"ttcf" else 0
    tables = struct.unpack_from(">H", data, directory + 4)[0]
    cmap = next(
        offset
        for tag, _, offset, _ in struct.iter_unpack(">4sIII", data[directory + 12 : directory + 12 + 16 * tables])
        if tag == b"cmap"
    )
    count = struct.unpack_from(">H", data, cmap + 2)[0]
    maps = [cmap + offset for _, _, offset in struct.iter_unpack(">HHI", data[cmap + 4 : cmap + 4 + 8 * count])]
    formats = {struct.unpack_from(">H", data, at)[0]: at for at in maps}
    if 12 in formats:
        at = formats[12]
        groups = struct.unpack_from(">I", data, at + 12)[0]
        for start, end, _ in struct.iter_unpack(">III", data[at + 16 : at + 16 + 12 * groups]):
            yield start, end
    elif 4 in formats:
        yield from _segments(data, formats[4])


def _segments(data: bytes, at: int) -> Iterator[tuple[int, int]]:
    twice = struct.unpack_from(">H", data, at + 6)[0]
    count = twice // 2
    ends = struct.unpack_from(f">{count}H", data, at + 14)
    starts = struct.unpack_from(f">{count}H", data, at + 16 + twice)
    offsets_at = at + 16 + 3 * twice
    offsets = struct.unpack_from(f">{count}H", data, offsets_at)
    for number, (start, end, offset) in enumerate(zip(starts, ends, offsets, strict=True)):
        if start == 0xFFFF:
            continue
        if not offset:
            yield start, end
            continue
        for letter in range(start, end + 1):
            place = offsets_at + 2 * number + offset + 2 * (letter - start)
            if place + 2 <= len(data) and struct.unpack_from(">H", data, place)[0]:
                yield letter, letter
