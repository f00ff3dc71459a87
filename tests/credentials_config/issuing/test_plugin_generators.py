"""A generator of another package: the example of ``docs/how-tos/extend``, taken from the page."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from badges.api import RunState
from credentials_config.contracts import Document
from credentials_config.issuing import lifecycle
from credentials_config.models import Credential, CredentialAsset, CredentialConfiguration, CredentialStatus
from credentials_config.testing.lms import LmsStandIn
from tests.credentials_config.plugins import registered
from tests.support.certificates import DAY, NOW, add_algebra, configure_certificate, document_of, issue, make, run
from tests.support.documented_code import code_blocks

pytestmark = pytest.mark.django_db


@pytest.fixture
def written() -> dict[str, Any]:
    """Run the page's code."""
    (source,) = (block for block in code_blocks("how-tos/extend", "python") if "class Postcard" in block)
    names: dict[str, Any] = {"__name__": "example.postcard"}
    exec(source, names)
    return names


@pytest.fixture(autouse=True)
def postcard(written: dict[str, Any]) -> Iterator[Any]:
    with registered(written["Postcard"]()) as plugin:
        yield plugin


def upload(drawing: str) -> None:
    CredentialAsset.objects.upload("card", drawing.encode(), name="card.svg")


def configured(**options: Any) -> CredentialConfiguration:
    configuration = configure_certificate(options=options or {"postcard": "card"})
    configuration.credential_type.generator = "postcard"
    configuration.credential_type.save()
    return configuration


def test_it_makes_each_learners_document_and_a_new_one_when_its_drawing_is_replaced(lms: LmsStandIn) -> None:
    upload("<svg><text>$name: $course ($code)</text></svg>")
    add_algebra(lms, finished=2, unfinished=0)
    lms.change_learner("done-2", name="$code <b>")
    issue(configured())
    first, second = Credential.objects.order_by("learner__lms_user_id")
    assert document_of(first) == (
        f"<svg><text>Learner Number 1: Algebra for squirrels ({first.verification_code})</text></svg>"
    )
    assert "<text>$code &lt;b&gt;: " in document_of(second), "what a learner is called is data"
    assert first.document.endswith(".svg")
    assert first.made_from == {"generator": "postcard 1", "assets": {"card": 1}}
    upload("<svg><circle/>$code</svg>")
    lifecycle.reissue([first], now=NOW + DAY)
    make(now=NOW + DAY)
    assert document_of(first) == f"<svg><circle/>{first.verification_code}</svg>"
    assert first.made_from["assets"] == {"card": 2}


def test_what_is_wrong_with_its_options_or_its_drawing_is_said_on_the_configuration(lms: LmsStandIn) -> None:
    add_algebra(lms)
    assert "postcard: write the slug of an asset." in run(configured(postcard=5)).note
    configuration = configured()
    assert "'card'; upload it" in run(configuration).note
    upload("<svg>$name</svg>")
    done = run(configuration)
    assert (done.outcome, done.note) == (RunState.FAILED, "The asset 'card' has no $code; draw it in.")
    assert configuration.problem == done.note
    assert not Credential.objects.exists()


@pytest.mark.parametrize("answer", [None, "<svg></svg>", Document("<svg></svg>")])  # type: ignore[arg-type]
def test_what_is_no_document_holds_the_configuration_and_says_whose_turn_it_is(
    lms: LmsStandIn, written: dict[str, Any], answer: Any
) -> None:
    upload("<svg>$code</svg>")
    add_algebra(lms, finished=2, unfinished=0)
    configuration = configured()
    run(configuration)
    written["PostcardRenderer"].render = lambda self, context: answer
    assert make().postponed == 2
    configuration.refresh_from_db()
    assert configuration.problem.startswith("PostcardRenderer.render gave no credentials_config.contracts.Document")
    assert set(Credential.objects.values_list("status", "attempts")) == {(CredentialStatus.GENERATING, 0)}
