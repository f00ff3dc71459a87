"""Layouts: the JSON of learning-credentials is read, defaults apply where they should, mistakes are named."""

from __future__ import annotations

import pytest

from credentials_config.options import QrElement, read_layout

# The complete example of their documentation.
THEIRS = {
    "template": "certificate-template",
    "template_multiline": "certificate-multiline",
    "defaults": {"font": "OpenSans", "color": "#333333"},
    "text_elements": {
        "name": {"y": 300, "size": 36, "uppercase": True},
        "context": {"text": "Custom Course Name", "y": 230, "size": 24},
        "date": False,
        "award_line": {"text": "Awarded on {issue_date}", "y": 150, "size": 12, "color": "#666666"},
    },
}


def texts(**options):
    layout, errors = read_layout({"template": "paper", **options})
    assert errors == []
    return {text.key: text for text in layout.texts}


def errors_of(**options):
    layout, found = read_layout({"template": "paper", **options})
    assert (layout is None) == bool(found)
    return found


def test_the_json_of_learning_credentials_means_what_it_meant():
    layout, found = read_layout(THEIRS)
    assert found == []
    name, context, award = (next(t for t in layout.texts if t.key == key) for key in ("name", "context", "award_line"))
    assert (layout.template, layout.template_multiline) == ("certificate-template", "certificate-multiline")
    assert (name.text, name.y, name.size, name.uppercase, name.font, name.color) == (
        *("{name}", 300, 36, True),
        *("OpenSans", "#333333"),
    )
    assert (context.text, context.y, context.size, context.uppercase) == ("Custom Course Name", 230, 24, False)
    assert (award.y, award.color, award.font) == (150, "#666666", "OpenSans")
    assert "date" not in {text.key for text in layout.texts}


def test_standard_elements_have_the_sizes_that_are_promised():
    standard = texts()
    assert {key: text.size for key, text in standard.items()} == {"name": 32, "context": 28, "date": 12, "code": 8}
    assert {key: text.y for key, text in standard.items()} == {"name": 290, "context": 220, "date": 120, "code": 24}


def test_defaults_count_for_all_elements_that_say_nothing():
    styled = texts(
        defaults={"size": 14, "char_space": 0.5, "uppercase": True, "line_height": 1.3},
        text_elements={"name": {"size": 40, "uppercase": False}},
    )
    assert (styled["name"].size, styled["name"].uppercase, styled["name"].char_space) == (40, False, 0.5)
    assert (styled["date"].size, styled["date"].uppercase, styled["date"].line_height) == (14, True, 1.3)


def test_a_default_that_is_not_given_leaves_the_promised_size():
    assert texts(defaults={"color": "#abc"})["name"].size == 32
    assert texts(defaults={"color": "abc"})["name"].color == "#aabbcc"


def test_a_code_is_on_every_document_or_the_options_are_refused():
    assert texts(text_elements={"code": False, "foot": {"text": "No. {verify_uuid}", "y": 9}})["foot"]
    assert "verification code" in errors_of(text_elements={"code": False})[0]
    # Doubled braces are braces, not a placeholder.
    assert errors_of(text_elements={"code": {"text": "{{verify_code}}"}})


def test_places_images_and_a_qr_code_are_read():
    layout, found = read_layout(
        {
            "template": "paper",
            "text_elements": {"name": {"x": 70, "align": "left", "max_width": 300, "max_lines": 2, "min_size": 9}},
            "images": [{"asset": "seal", "x": 10, "y": 20, "width": 90}],
            "qr": {"x": 700, "y": 30, "size": 88},
            "page": {"width": 842, "height": 595},
        }
    )
    assert found == []
    name = layout.texts[0]
    assert (name.x, name.align, name.max_width, name.max_lines, name.min_size) == (70, "left", 300, 2, 9)
    assert (layout.images[0].asset, layout.images[0].width, layout.images[0].height) == ("seal", 90, None)
    assert layout.qr == QrElement(x=700, y=30, size=88, color="#000000")
    assert layout.page == (842, 595)


@pytest.mark.parametrize(
    ("options", "path", "remedy"),
    [
        ({"template": ""}, "template", "slug"),
        ({"template": "../etc"}, "template", "letters"),
        ({"text_element": {}}, "text_element", "write text_elements"),
        ({"tmeplate_multiline": "x"}, "tmeplate_multiline", "write template_multiline"),
        ({"defaults": {"fnt": "x"}}, "defaults.fnt", "write font"),
        ({"defaults": {"size": "12"}}, "defaults.size", "without quotes"),
        ({"defaults": {"size": True}}, "defaults.size", "number"),
        ({"defaults": {"size": float("nan")}}, "defaults.size", "number"),
        ({"defaults": {"size": 0}}, "defaults.size", "out of bounds"),
        ({"defaults": {"size": 10**400}}, "defaults.size", "out of bounds"),
        ({"defaults": {"color": "red"}}, "defaults.color", "#rrggbb"),
        ({"defaults": {"align": "middle"}}, "defaults.align", "left, center, right"),
        ({"defaults": {"uppercase": "yes"}}, "defaults.uppercase", "true or false"),
        ({"defaults": []}, "defaults", "object"),
        ({"text_elements": {"name": {"siez": 3}}}, "text_elements.name.siez", "write size"),
        ({"text_elements": {"name": "Ada"}}, "text_elements.name", "false"),
        ({"text_elements": {"name": {"text": "{nme}"}}}, "text_elements.name.text", "write {name}"),
        ({"text_elements": {"name": {"text": "100 %}"}}}, "text_elements.name.text", "written twice"),
        ({"text_elements": {"motto": {"y": 3}}}, "text_elements.motto.text", "write the text"),
        ({"text_elements": {"motto": {"text": "Ever on"}}}, "text_elements.motto.y", "missing"),
        ({"images": {"asset": "x"}}, "images", "list"),
        ({"images": [{"asset": "x", "x": 1, "y": 1}]}, "images.0", "width or a height"),
        ({"qr": {"x": 1, "y": 1, "size": 12}}, "qr.size", "between 40"),
        ({"qr": {"left": 1}}, "qr.left", "known are"),
        ({"page": {"width": 100}}, "page.height", "missing"),
        ({"fonts": "x"}, "fonts", "list"),
        # Their old, flat form.
        ({"name_y": 100}, "name_y", "text_elements.name.y"),
        ({"context_name_color": "#fff"}, "context_name_color", "text_elements.context.color"),
        ({"template_two_lines": "x"}, "template_two_lines", "template_multiline"),
    ],
)
def test_mistakes_name_their_path_and_the_remedy(options, path, remedy):
    found = errors_of(**options)
    assert any(finding.startswith(f"{path}: ") and remedy in finding for finding in found), found


def test_a_mistake_is_said_once():
    assert len(errors_of(defaults={"size": "big"})) == 1


def test_keys_of_the_processor_are_not_touched():
    assert errors_of(required_grades={"Exam": 0.5}, steps={}, required_completion=0.9) == []
