"""
Names of all kinds stand on the page as they are: drawn by a font that has them, found by readers, and never understood.

What is drawn is held against typst's own strictest mode, PDF/A, which refuses a page with a letter that no font has.
"""

from __future__ import annotations

import re
import shutil

import pytest
import typst

from credentials_config.contracts import GenerationError
from credentials_config.generators.pdf import process
from tests.credentials_config.generators.documents import (
    NOTO,
    context,
    copied_text,
    ink,
    read_text,
    rendered,
    renderer,
    sample_renderer,
)

SCRIPTS = {
    "latin": ("Zoë Brontë-Łukasiewicz", "en"),
    "vietnamese": ("Nguyễn Thị Hằng", "vi"),
    "greek": ("Υπατία της Αλεξάνδρειας", "el"),
    "cyrillic": ("Софья Ковалевская", "ru"),
    "arabic": ("محمد بن موسى الخوارزمي", "ar"),
    "hebrew": ("משה בן מימון", "he"),
    "devanagari": ("श्रीनिवास रामानुजन्", "hi"),
    "bengali": ("সত্যেন্দ্রনাথ বসু", "bn"),
    "tamil": ("சுப்பிரமணியன் சந்திரசேகர்", "ta"),
    "thai": ("น้ำผึ้ง ใจดีศรีสุข", "th"),
    "amharic": ("ኃይለ ገብረሥላሴ", "am"),
    "georgian": ("შოთა რუსთაველი", "ka"),
    "chinese": ("陈省身", "zh-hans"),
    "traditional": ("蘇軾與歐陽脩", "zh-hant"),
    "japanese": ("湯川秀樹 ゆかわ", "ja"),
    "korean": ("이휘소", "ko"),
    "emoji": ("Ann 😀 Smith", "en"),
    "emoji of several": ("Ann 👩\u200d👩\u200d👧 🇳🇱 Smith", "en"),
}
FROM_THE_RIGHT = {"arabic", "hebrew"}


@pytest.fixture(scope="module")
def certificate():
    made = sample_renderer()
    yield made
    made.close()


@pytest.mark.parametrize("script", SCRIPTS)
def test_names_of_every_script_are_drawn_and_found(certificate, script):
    name, language = SCRIPTS[script]
    content = certificate.render(context(name=name, language=language)).content
    # Letters from the right are drawn, and so stand in the file, from the left.
    assert (name[::-1] if script in FROM_THE_RIGHT else name) in read_text(content)
    # Readers turn them around.
    assert name in copied_text(content).replace("\r\n", " ")
    assert ink(content, 200, 340, 640, 380) > 0.005


@pytest.mark.parametrize("script", SCRIPTS)
def test_no_box_stands_for_a_letter(script):
    name, language = SCRIPTS[script]
    made = renderer(options={"text_elements": {"name": {"text": "{name} & {name}"}}})
    made.render(context(name=name, language=language))
    # What PDF/A wants besides.
    page = (made._folder / "page.typ").read_text().replace("date: none", "date: datetime(year: 2026, month: 5, day: 3)")
    (made._folder / "strict.typ").write_text(page)
    inputs = {"document": _last_document(made, name, language)}
    strict = typst.Compiler(
        input=str(made._folder / "strict.typ"),
        root=str(made._folder),
        font_paths=typst.Fonts(False, True, process.font_folders(None)),
        ignore_system_fonts=True,
    )
    assert strict.compile(sys_inputs=inputs, timestamp=0, pdf_standards="a-2u")
    made.close()


def _last_document(made, name, language):
    """What the worker would hand to typst, worked out here: the worker's own code, in this process."""
    from credentials_config.generators.pdf.worker import Worker  # noqa: PLC0415 - the worker's process needs no pytest

    worker = Worker({"seconds": 60, "folders": process.font_folders(None)})
    worker._do(made._open_request | {"do": "open"})
    request = made._request(context(name=name, language=language), page=0, strict=False)
    return worker.templates[request["id"]]._inputs_for_page(request)["document"]


NASTY = [
    '#include "/etc/passwd"',
    "#panic() #sys.inputs",
    "$x^2$ *bold* _it_ `raw` = Heading <label> @ref",
    '[#read("page.typ")] // comment /* x */',
    "{name} {verify_code} {{}} }} {",
    "\\u{41} \\ \\n \"quoted\" 'single' ~ -- ---",
    "<script>alert(1)</script> &amp; %PDF-1.7 ) Tj ET",
    "http://evil.example/",
    "'; DROP TABLE learners; --",
    "../../../../etc/passwd",
]


@pytest.mark.parametrize("name", NASTY)
def test_names_that_look_like_code_are_letters(certificate, name):
    content = certificate.render(context(name=name)).content
    assert name in read_text(content)
    assert "root:" not in read_text(content)


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("A\x00da\x07 Love\x1blace", "A da Love lace"),
        ("Ada\nLovelace\tByron", "Ada Lovelace Byron"),
        ("  Ada   Lovelace ", "Ada Lovelace"),
        ("Ada\u202e ecalevoL\u202c", "Ada ecalevoL"),  # would turn around what follows
        ("Ada\u2028Lovelace", "Ada Lovelace"),
        ("Ada \ud800Lovelace", "Ada Lovelace"),  # half a letter
    ],
)
def test_what_cannot_be_printed_is_left_out(certificate, name, shown):
    assert f"\n{shown}\n" in read_text(certificate.render(context(name=name)).content)


LONG = {
    "words": ("Maximilian Alexander " * 9 + "von Hohenburg", "en"),
    "one word": ("Wolfeschlegelsteinhausen" * 9, "en"),
    "arabic": ("محمد بن عبد الله " * 12, "ar"),
    "thai": ("น้ำผึ้งใจดีศรีสุข" * 12, "th"),
    "chinese": ("陈省身" * 70, "zh"),
    "piled accents": (("Z" + "\u0302\u0317" * 10) * 10, "en"),
}


@pytest.mark.parametrize("kind", LONG)
def test_two_hundred_letters_fit(certificate, kind):
    name, language = LONG[kind]
    assert len(name) > 200
    content = certificate.render(context(name=name, language=language)).content
    plain = certificate.render(context(name="", language=language)).content
    # All of its ink is where a name may be: nothing left, right, above or below changes.
    width, height, with_name = rendered(content)
    without = rendered(plain)[2]
    changed = [at for at, (a, b) in enumerate(zip(with_name, without, strict=True)) if abs(a - b) > 64]
    columns, rows = {at % width for at in changed}, {at // width for at in changed}
    assert (842 - 620) / 2 - 2 < min(columns) < max(columns) < (842 + 620) / 2 + 2
    assert height - 405 < min(rows) < max(rows) < height - 305
    if kind not in ("arabic", "thai", "piled accents"):
        assert re.sub(r"\s", "", name) in re.sub(r"\s", "", read_text(content))


def test_a_long_name_is_smaller_and_a_short_one_is_not(certificate):
    def tall(name):
        width, height, pixels = rendered(certificate.render(context(name=name)).content)
        rows = [r for r in range(height - 400, height - 310) if min(pixels[r * width + 100 : r * width + 740]) < 128]
        return max(rows) - min(rows)

    assert tall("Ell") == pytest.approx(28, abs=3)  # size 38
    assert tall("Ell " * 15) < 25


def test_what_does_not_fit_at_all_is_an_error_that_names_the_element():
    made = renderer(options={"text_elements": {"context": {"max_width": 120, "max_lines": 1}}})
    with pytest.raises(GenerationError, match=r"text_elements\.context does not fit.*max_width") as caught:
        made.render(context(context_name="A very long name of a course " * 6))
    assert not caught.value.everyone
    assert "course" not in str(caught.value)


def test_a_letter_that_no_font_has_is_an_error_for_that_learner_only(certificate):
    with pytest.raises(GenerationError, match=r"letter U\+E123.*fonts-noto") as caught:
        certificate.render(context(name="Ada \ue123"))
    assert not caught.value.everyone
    assert certificate.render(context(name="Ada")).content


def test_without_the_chinese_fonts_others_get_their_documents(tmp_path, settings):
    shutil.copy(NOTO / "NotoSans-Regular.ttf", tmp_path)
    settings.CREDENTIALS_CONFIG = {"pdf": {"font_folders": [str(tmp_path)]}}
    made = renderer()
    assert "Софья" in read_text(made.render(context(name="Софья")).content)
    with pytest.raises(GenerationError, match=r"U\+9648.*fonts-noto-cjk"):
        made.render(context(name="陈省身"))


def test_without_any_fonts_latin_names_still_work(tmp_path, settings):
    settings.CREDENTIALS_CONFIG = {"pdf": {"font_folders": [str(tmp_path)]}}
    made = renderer()
    assert "Zoë Łukasiewicz" in read_text(made.render(context(name="Zoë Łukasiewicz")).content)
    with pytest.raises(GenerationError, match=r"U\+05DE"):
        made.render(context(name="משה"))


def test_lines_of_a_context_name_stay_lines():
    text = read_text(renderer().render(context(context_name="Algebra\nfor everyone")).content)
    assert re.search(r"Algebra\s+for everyone", text)
    assert "Algebrafor" not in text


def test_uppercase_follows_the_language():
    made = renderer(options={"text_elements": {"name": {"uppercase": True}}})
    assert "IŞIL" in read_text(made.render(context(name="ışıl", language="en")).content)
    assert "DİLİ" in read_text(made.render(context(name="dili", language="tr")).content)
