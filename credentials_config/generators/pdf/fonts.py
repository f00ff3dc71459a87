"""
Which fonts there are, which letters they have, and which fonts a text needs.

Typst falls back to other fonts by itself. But it draws an empty box for a letter that no font has, and which font it
takes depends on what else is installed. So the fonts are chosen here, in a fixed order, and a letter without a font is
an error.
"""

from __future__ import annotations

import functools
import unicodedata
from collections.abc import Iterable
from pathlib import Path

import typst
import uharfbuzz

# The fonts of a page that names none, the best first. The last comes with typst itself.
STANDARD_FAMILIES = ("Noto Sans", "Libertinus Serif")
# Fonts that every PDF reader has, and that learning-credentials used: they mean "no special font".
_GENERIC = {"helvetica", "arial", "sans-serif"}
_CJK = {"ja": "JP", "ko": "KR", "zh-hant": "TC", "zh-tw": "TC", "zh-hk": "HK", "zh-mo": "HK"}
# The fonts that come with typst are in no file that could be read. They certainly have the letters in these ranges.
_EMBEDDED = (
    *(range(0x20, 0x7F), range(0xA0, 0x180), range(0x391, 0x3A2), range(0x3A3, 0x3CA), range(0x410, 0x450)),
    *(range(0x2013, 0x2015), range(0x2018, 0x201E)),
)


class MissingLetter(Exception):
    """No font has this letter."""

    def __init__(self, letter: str):
        super().__init__(letter)
        self.letter = letter


class FontCatalog:
    """The fonts of some folders and those that come with typst, by family."""

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
        """
        Return the exact name of a family, whatever the case of ``name``; None when there is no such family.

        Generic names like "sans-serif" give the standard family.
        """
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
        """
        Return the families for a text: ``first``, then as few others as its letters need.

        ``language`` (a code like "zh-tw") decides how Chinese characters look. Raises MissingLetter.
        """
        stack, group = [first], _CJK.get(language.lower(), _CJK.get(language.lower().split("-")[0], "SC"))
        for letter in unicodedata.normalize("NFC", text):
            if not _is_drawn(letter) or any(self.has(family, letter) for family in stack):
                continue
            stack.append(self._family_with(letter, group))
        return stack

    def has(self, family: str, letter: str) -> bool:
        """Return whether a family has a letter."""
        path, index = self._faces[family]
        if path is None:
            return any(ord(letter) in letters for letters in _EMBEDDED)
        return _font(path, index).get_nominal_glyph(ord(letter)) is not None

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
def _font(path: str, index: int) -> uharfbuzz.Font:
    """Return a face of a font file. The file is mapped into memory, so only the parts in use are read."""
    return uharfbuzz.Font(uharfbuzz.Face(uharfbuzz.Blob.from_file_path(path), index))
