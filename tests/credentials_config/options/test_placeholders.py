"""DocumentContext are filled in once, and only where a placeholder stands."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from credentials_config.options import fill

VALUES = {
    "name": "Ada",
    "context_name": "Algebra",
    "issue_date": "3 May",
    "verify_url": "https://x.example/v/Q7",
    "verify_code": "Q7",
}


@pytest.mark.parametrize(
    ("text", "filled"),
    [
        ("{name}", "Ada"),
        ("{context_name}, {issue_date}: {verify_url} {verify_code}", "Algebra, 3 May: https://x.example/v/Q7 Q7"),
        ("{verify_uuid}", "Q7"),  # what learning-credentials calls it
        ("{{name}}", "{name}"),
        ("{{{name}}}", "{Ada}"),
        ("Score: {{95%}}", "Score: {95%}"),
        ("}} {{", "} {"),
        ("", ""),
    ],
)
def test_placeholders_are_filled_in(text, filled):
    assert fill(text, VALUES) == filled


@pytest.mark.parametrize("name", ["{verify_code}", "}}", "{{name}}", "{", "{name} {name}", "\\1 \\g<0>"])
def test_what_looks_like_a_placeholder_in_a_name_stays_as_it_is(name):
    assert fill("For {name}.", {**VALUES, "name": name}) == f"For {name}."


@given(st.text())
def test_any_name_comes_out_as_it_went_in(name):
    assert fill("<{name}>", {**VALUES, "name": name}) == f"<{name}>"
