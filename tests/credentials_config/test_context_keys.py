"""What a context key names."""

from __future__ import annotations

import pytest

from credentials_config.context_keys import Kind, block_type_of, course_of, kind_of

LESSON = "block-v1:Demo+Algebra+2026+type@sequential+block@sheet_1"


@pytest.mark.parametrize(
    ("key", "kind"),
    [
        ("course-v1:Demo+Algebra+2026", Kind.COURSE),
        ("Demo/Algebra/2026", Kind.COURSE),  # courses from before 2014
        ("ccx-v1:Demo+Algebra+2026+ccx@7", Kind.COURSE),
        (LESSON, Kind.LESSON),
        ("path-v1:Demo+Maths+2026+A", Kind.PATHWAY),
    ],
)
def test_keys_name_what_can_be_learned(key, kind):
    assert kind_of(key) is kind


@pytest.mark.parametrize(
    "key",
    [
        "",
        "Algebra",
        "course-v1:Demo+Algebra",
        "course-v1:Demo+Algebra+2026\n",
        " course-v1:Demo+Algebra+2026",
        "library-v1:Demo+Questions",
        "lib:Demo:Questions",
        "library-v1:Demo+Questions+type@html+block@1",
        "lb:Demo:Questions:html:1",
        "path-v1:Demo+Maths+2026",
        "path-v1:Demo+Maths+2026+A+B",
        "path-v1:Demo+Maths+2026+A/../B",
        "asset-v1:Demo+Algebra+2026+type@asset+block@logo.png",
        "i4x://Demo/Algebra/sequential/sheet_1",  # which does not say of which run
        "course-v1:Demo+Algebra+2026\x00",
    ],
)
def test_anything_else_names_nothing(key):
    assert kind_of(key) is None


def test_a_lesson_knows_its_course_and_its_type():
    assert course_of(LESSON) == "course-v1:Demo+Algebra+2026"
    assert block_type_of(LESSON) == "sequential"
