"""The page ``docs/how-tos/award-and-revoke``: its requests are sent and its code is run, as they are printed."""

from __future__ import annotations

import json
import re
import textwrap
from pathlib import Path
from typing import Any

import pytest

from badges.models import UserCredential
from tests.factories import UserFactory, make_template
from tests.support.learner_factories import signed_in, somebody

pytestmark = [pytest.mark.django_db]

PAGE = (Path(__file__).parents[2] / "docs/how-tos/award-and-revoke.rst").read_text()
PRINTED_ID = "01a22071-db56-7789-8c1f-b7f4e0d3cab0"


def blocks(language: str) -> list[str]:
    found = re.findall(rf"\.\. code-block:: {language}\n\n((?:   .*\n|\n)+)", PAGE)
    return [textwrap.dedent(block).strip() for block in found]


def head_and_body(block: str) -> tuple[list[str], Any]:
    head, _, body = block.partition("\n\n")
    return head.split("\n"), json.loads(body)


def assert_holds(printed: Any, answered: Any) -> None:
    """Compare the printed members with those of the answer, which may have more."""
    if isinstance(printed, dict):
        for name, value in printed.items():
            assert_holds(value, answered[name])
    else:
        assert answered == printed


@pytest.fixture(autouse=True)
def anna() -> None:
    make_template(slug="algebra-star")
    make_template(slug="helper")
    UserFactory(username="anna")


def test_each_printed_request_is_answered_as_printed() -> None:
    client = signed_in(somebody("award_usercredential", "revoke_usercredential"))
    printed = blocks("http")
    assert len(printed) == 14
    real_id = PRINTED_ID
    for request, answer in zip(printed[::2], printed[1::2], strict=True):
        (line, *lines), body = head_and_body(request)
        method, address, _ = line.split()
        send = {"POST": client.post, "DELETE": client.delete}[method]
        headers = dict(each.split(": ") for each in lines)
        response = send(address.replace(PRINTED_ID, real_id), body, headers["Content-Type"], headers=headers)
        (status, kind, *_), expected = head_and_body(answer)
        assert f"HTTP/1.1 {response.status_code} {response.reason_phrase}" == status
        assert f"Content-Type: {response.headers['Content-Type']}" == kind
        answered = response.json()
        if real_id == PRINTED_ID:
            real_id = answered["id"]
        assert_holds(expected, json.loads(json.dumps(answered).replace(real_id, PRINTED_ID)))


def test_the_printed_code_runs(capsys: pytest.CaptureFixture[str]) -> None:
    (code,) = blocks("python")
    exec(code, {})
    assert UserCredential.objects.get().public_reason == "Imported by mistake."
    again = code.replace("Imported by mistake.", "houba")
    exec(again, {})
    assert capsys.readouterr().out == ""
    api_only = code.partition("else:")[0]
    exec(api_only, {})
    exec(api_only, {})
    assert str(UserCredential.objects.get(active_key="active").pk) in capsys.readouterr().out
