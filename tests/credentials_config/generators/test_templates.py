"""Templates of each kind become the page; what is broken is message once, with asset and remedy, before any learner."""

from __future__ import annotations

import pytest
import typst

from credentials_config.contracts import GenerationError
from credentials_config.generators.pdf import samples
from credentials_config.generators.pdf.generator import PdfGenerator
from tests.credentials_config.generators.documents import (
    NOTO,
    PAPER,
    StoredFiles,
    context,
    copied_text,
    ink,
    png,
    read_text,
    rendered,
    renderer,
    sample_renderer,
    scanned,
)

BLACK_BAR = '<svg xmlns="http://www.w3.org/2000/svg" width="400" height="300"><path d="M0 0h400v30H0z"/></svg>'
OWN = b"""
#set page(width: 400pt, height: 300pt)
#set document(date: none)
#sys.inputs.name did #json(bytes(sys.inputs.words)).context_name

#sys.inputs.verify_code
"""


def pdf(source: str, **options) -> bytes:
    return typst.compile(source.encode(), timestamp=0, **options)


def size_of(content: bytes) -> tuple[int, int]:
    return rendered(content)[:2]


# -- what a page is made from ------------------------------------------------------------------------------------------


def test_a_pdf_template_keeps_its_size_its_drawing_and_its_text():
    template = pdf(
        "#set page(width: 500pt, height: 400pt, margin: 0pt)\n#rect(width: 100%, height: 40pt, fill: black)\n Faculty"
    )
    content = renderer(template, name="paper.pdf").render(context()).content
    assert size_of(content) == (500, 400)
    assert ink(content, 0, 365, 500, 400) > 0.95
    assert "Faculty" in copied_text(content)
    assert "Ada Lovelace" in copied_text(content)


def test_a_turned_pdf_page_is_drawn_as_readers_show_it():
    """Scanners and printers write /Rotate instead of turning the drawing."""
    plain = pdf("#set page(width: 300pt, height: 500pt, margin: 0pt)\n#rect(width: 30pt, height: 100%, fill: black)")
    at = plain.index(b"/MediaBox")
    turned = plain[:at] + b"/Rotate 90" + plain[at:]
    content = renderer(turned, name="paper.pdf").render(context()).content
    assert size_of(content) == (500, 300)
    assert ink(content, 0, 270, 500, 300) > 0.95


@pytest.mark.parametrize(
    ("name", "template", "size"),
    [
        ("paper.svg", BLACK_BAR.encode(), (842, 631)),
        ("paper.png", png(40, 30), (842, 631)),
        ("upside.png", png(30, 40), (631, 842)),
        # By what is in it: names lie.
        ("paper.pdf", BLACK_BAR.encode(), (842, 631)),
    ],
)
def test_a_picture_is_as_big_as_a4(name, template, size):
    assert size_of(renderer(template, name=name).render(context()).content) == pytest.approx(size, abs=1)


def test_a_jpeg_is_a_page_too():
    content = renderer(_jpeg(), name="paper.jpg").render(context()).content
    assert size_of(content) == (842, 842)


def test_page_gives_another_size():
    content = renderer(options={"page": {"width": 300, "height": 200}}).render(context()).content
    assert size_of(content) == (300, 200)


def test_context_names_of_several_lines_have_their_own_template():
    made = renderer(
        options={"template_multiline": "wide"}, wide__svg=BLACK_BAR.replace('width="400"', 'width="300"').encode()
    )
    assert size_of(made.render(context(context_name="Algebra")).content) == (842, 595)
    several = made.render(context(context_name="Algebra\nfor all", name="IIIIIIII")).content
    assert size_of(several) == (842, 842)
    assert ink(several, 380, 290, 460, 315) > 0.1


def test_the_middle_is_the_middle_of_each_template():
    made = renderer(
        options={"template_multiline": "small", "page": None}, small__pdf=pdf("#set page(width: 300pt, height: 400pt)")
    )
    content = made.render(context(context_name="Algebra\nfor all", name="IIIIIIII")).content
    assert size_of(content) == (300, 400)
    assert ink(content, 110, 290, 190, 312) > 0.1
    assert ink(content, 200, 285, 300, 320) == 0


def test_elements_stand_where_they_are_told():
    texts = dict.fromkeys(("context", "date"), False)
    left = {"text": "IIII", "x": 100, "y": 500, "align": "left", "size": 40}
    right = {"text": "IIII", "x": 742, "y": 300, "align": "right", "size": 40}
    made = renderer(options={"text_elements": {**texts, "name": left, "other": right}})
    content = made.render(context()).content
    assert ink(content, 100, 500, 150, 528) > 0.2
    assert ink(content, 0, 480, 100, 595) == 0
    assert ink(content, 692, 300, 742, 328) > 0.2
    assert ink(content, 743, 280, 842, 340) == 0
    # The first stands on its line.
    assert ink(content, 100, 480, 150, 499) == 0


def test_images_stand_on_their_lower_left_corner():
    made = renderer(
        options={
            "text_elements": dict.fromkeys(("name", "context", "date"), False),
            "images": [{"asset": "seal", "x": 50, "y": 400, "width": 100}],
        },
        seal__png=png(20, 10, 0),
    )
    content = made.render(context()).content
    assert ink(content, 51, 401, 149, 449) == 1
    assert ink(content, 40, 451, 160, 500) == ink(content, 40, 350, 160, 399) == 0


def test_phones_read_the_qr_code():
    content = sample_renderer().render(context(verify_url="https://x.example/credentials/verify/K7QX9TMW2PHD")).content
    assert scanned(content) == ["https://x.example/credentials/verify/K7QX9TMW2PHD"]


@pytest.mark.parametrize("length", [20, 80, 200, 400])
def test_addresses_of_any_length_are_read(length):
    url = ("https://x.example/K7QX9TMW2PHD/" + "abc-123/" * 60)[:length]
    made = renderer(options={"qr": {"x": 40, "y": 300, "size": 200}})
    assert scanned(made.render(context(verify_url=url + "/K7QX9TMW2PHD")).content) == [url + "/K7QX9TMW2PHD"]


def test_the_same_words_give_the_same_bytes_whoever_makes_them():
    first, second = sample_renderer(), sample_renderer()
    in_between = first.render(context(name="Grace Hopper")).content
    first._worker.stop()
    assert first.render(context()).content == second.render(context()).content != in_between


def test_a_document_knows_what_it_was_made_from():
    made = renderer(options={"images": [{"asset": "seal", "x": 1, "y": 1, "width": 9}]}, seal__png=png(9, 9)).made_from
    assert made == {"generator": "pdf 1", "typst": made["typst"], "assets": {"paper": 7, "seal": 7}}


# -- fonts -------------------------------------------------------------------------------------------------------------


def test_a_font_is_an_asset_or_a_family_of_the_machine():
    serif = (NOTO / "NotoSerif-Bold.ttf").read_bytes()
    content = renderer(options={"defaults": {"font": "brand"}}, brand__ttf=serif).render(context(name="Ada")).content
    assert b"NotoSerif-Bold" in content
    content = renderer(options={"defaults": {"font": "noto serif"}}).render(context(name="Ada")).content
    assert b"NotoSerif-Regular" in content


def test_a_font_without_the_letters_is_completed_by_another_font():
    serif = (NOTO / "NotoSerif-Bold.ttf").read_bytes()
    made = renderer(options={"defaults": {"font": "brand"}}, brand__ttf=serif)
    content = made.render(context(name="Ada 陈省身")).content
    assert "Ada 陈省身" in read_text(content)
    assert b"NotoSansCJK" in content


def test_helvetica_means_no_special_font():
    assert b"NotoSans-Regular" in renderer(options={"defaults": {"font": "Helvetica"}}).render(context()).content


@pytest.mark.parametrize("content", [b"", b"no font at all", b"\x00\x01\x00\x00" + b"\xff" * 200])
def test_a_broken_font_is_named(content):
    with pytest.raises(GenerationError, match="'brand'") as caught:
        renderer(options={"defaults": {"font": "brand"}}, brand__ttf=content)
    assert caught.value.everyone


def test_a_missing_font_is_named():
    with pytest.raises(GenerationError, match=r"no font 'Comic Neue' \(text_elements\.name\.font\).*Upload") as caught:
        renderer(options={"text_elements": {"name": {"font": "Comic Neue"}}})
    assert caught.value.everyone


# -- what is broken ----------------------------------------------------------------------------------------------------


def encrypted() -> bytes:
    """A PDF that asks for a password: the standard security handler with keys that open to nothing."""
    plain = pdf("locked")
    at = plain.rindex(b"trailer")
    entry = b"/Encrypt<</Filter/Standard/V 2/R 3/Length 128/P -4/O<" + b"ab" * 32 + b">/U<" + b"cd" * 32 + b">>>"
    return plain[:at] + plain[at:].replace(b"<<", b"<<" + entry, 1)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("paper.pdf", b"%PDF-1.7\ngarbage", "no PDF that can be read"),
        ("paper.pdf", encrypted(), "encrypted PDF; save it without a password"),
        ("paper.png", b"\x89PNG\r\n\x1a\ngarbage", "cannot be used as a picture"),
        ("paper.png", png(30, 30)[:60], "cannot be used as a picture"),
        ("paper.jpg", b"\xff\xd8\xffgarbage", "cannot be used as a picture"),
        ("paper.svg", b"<svg><unclosed", "cannot be used as a picture"),
        ("paper.gif", b"GIF89a", "no PDF, PNG, JPEG or SVG"),
        ("paper.svg", b"", "empty file"),
        ("paper.svg", b"<svg>" + b" " * 50 * 1024**2, "bigger than 20 MB"),
        ("paper.typ", b"#let x = ", "template 'paper' is broken"),
        ("paper.typ", b"\n\n#nonsense", r"broken \(line 3\): unknown variable: nonsense"),
        ("paper.typ", b"\xff\xfe\x00", "template 'paper' is broken"),
        ("paper.typ", b"Hello #sys.inputs.name", "verification code is not in the text"),
        ("paper.typ", b'#set text(font: "Comic Neue")\n' + OWN, "font 'comic neue'"),
        ("paper.typ", OWN + b'#image("seal.png")', "file not found"),
    ],
    ids=lambda value: value[:20] if isinstance(value, (str, bytes)) else None,
)
def test_a_broken_template_is_named_before_any_learner(name, content, message):
    with pytest.raises(GenerationError, match=message) as caught:
        renderer(content, name=name)
    assert caught.value.everyone
    assert "paper" in str(caught.value) or "font" in str(caught.value) or "code" in str(caught.value)
    assert "/tmp" not in str(caught.value)


def test_a_missing_asset_is_named():
    with pytest.raises(GenerationError, match="no asset 'seal'"):
        renderer(options={"images": [{"asset": "seal", "x": 1, "y": 1, "width": 9}]})


def test_wrong_options_are_refused_here_too():
    with pytest.raises(GenerationError, match=r"qr\.size: ") as caught:
        renderer(options={"qr": {"x": 1, "y": 1, "size": "big"}})
    assert caught.value.everyone
    assert PdfGenerator().clean_options({"template": "paper", "qr": {"x": 1, "y": 1, "size": "big"}}) == [
        str(caught.value)
    ]


def test_a_code_that_the_page_does_not_show_is_an_error():
    """White on nothing is still text; off the page it is not."""
    with pytest.raises(GenerationError, match="verification code is not in the text"):
        renderer(options={"text_elements": {"code": {"y": 9000}}})


# -- whole templates ---------------------------------------------------------------------------------------------------


def test_a_whole_template_draws_its_page_itself():
    content = renderer(OWN, name="own.typ").render(context(name="#panic() {name}")).content
    assert size_of(content) == (400, 300)
    assert "#panic() {name} did Introduction to Algebra" in read_text(content)


def test_a_whole_template_reads_the_files_it_was_given():
    made = renderer(
        OWN + b'#image("seal.png", width: 50pt)', {"files": ["seal"]}, name="own.typ", seal__png=png(9, 9, 0)
    )
    assert b"/Subtype/Image" in made.render(context()).content


def test_a_whole_template_uses_the_fonts_it_was_given():
    serif = (NOTO / "NotoSerif-Bold.ttf").read_bytes()
    source = b'#set text(font: "Noto Serif", weight: "bold")\n' + OWN
    made = renderer(source, {"fonts": ["brand"]}, name="own.typ", brand__ttf=serif)
    assert b"NotoSerif-Bold" in made.render(context()).content


def test_the_sample_of_a_whole_template_works():
    catalog = StoredFiles({"sample-typst": (samples.TYPST, samples.content(samples.TYPST))})
    made = PdfGenerator().create_renderer(samples.OPTIONS[samples.TYPST], catalog)
    content = made.render(context(name="משה", language="he")).content
    assert "משה" in copied_text(content)
    assert scanned(content) == [context().verify_url]


def test_elements_and_a_whole_template_do_not_go_together():
    with pytest.raises(GenerationError, match=r"draws its page itself.*null"):
        renderer(OWN, {"qr": {"x": 1, "y": 1, "size": 50}}, name="own.typ")
    with pytest.raises(GenerationError, match="name them in images"):
        renderer(PAPER, {"files": ["seal"]}, seal__png=png(9, 9))


def test_an_error_for_one_name_in_a_whole_template_leaves_the_others():
    source = OWN + b'#if sys.inputs.name == "Bobby" { panic("no Bobby") }'
    made = renderer(source, name="own.typ")
    with pytest.raises(GenerationError, match=r"broken.*no \{name\}") as caught:
        made.render(context(name="Bobby"))
    assert not caught.value.everyone
    assert made.render(context(name="Ada")).content


@pytest.mark.parametrize(("slug", "file"), [("template-0", "helpers.typ"), ("fonts", "fonts"), ("..", "parent")])
def test_a_file_does_not_take_the_place_of_another(slug, file):
    catalog = StoredFiles({"paper": ("own.typ", OWN), slug: (file, b"#let helper = 1")})
    with pytest.raises(
        GenerationError, match=r"files: the name '[^']+' is taken; upload .* under another slug"
    ) as caught:
        PdfGenerator().create_renderer({"template": "paper", "files": [slug]}, catalog)
    assert caught.value.everyone


def test_an_error_of_a_whole_template_does_not_say_whose_document_it_was():
    source = OWN + b'#if sys.inputs.name != "Ada Lovelace" { panic("not for " + sys.inputs.name) }'
    made = renderer(source, name="own.typ")
    with pytest.raises(GenerationError, match=r"not for \{name\}"):
        made.render(context(name='Zorglub "Z" Champignac'))


def _jpeg() -> bytes:
    """A grey JPEG of 8 by 8 pixels: one block whose difference from the middle is none."""

    def segment(marker: int, data: bytes) -> bytes:
        return bytes([0xFF, marker]) + (len(data) + 2).to_bytes(2, "big") + data

    one_code = bytes([1] + [0] * 15) + b"\0"
    return (
        b"\xff\xd8"
        + segment(0xDB, b"\0" + b"\1" * 64)
        + segment(0xC0, bytes([8, 0, 8, 0, 8, 1, 1, 0x11, 0]))
        + segment(0xC4, b"\x00" + one_code)
        + segment(0xC4, b"\x10" + one_code)
        + segment(0xDA, bytes([1, 1, 0, 0, 63, 0]))
        + b"\x3f\xff\xd9"
    )
