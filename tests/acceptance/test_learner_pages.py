"""What a learner relies on: the page shows what an event has changed, and others see what the learner shares."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.test import Client

from badges import api
from tests.factories import ALGEBRA, GEOMETRY, LearnerFactory, make_passing, make_template, requirement
from tests.support.learner_factories import signed_in

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.tables]

PAGE = "/badges/"


def told(client: Any, address: str = PAGE) -> str:
    return " ".join(re.sub(r"<[^>]*>", " ", client.get(address).content.decode()).split())


def test_from_the_first_step_to_a_badge_that_others_see_until_it_is_revoked() -> None:
    learner = LearnerFactory(lms_user_id=4711)
    make_template(
        slug="mathematician",
        name="Mathematician",
        requirements=[
            requirement("algebra", course=ALGEBRA, description="Pass algebra"),
            requirement("geometry", course=GEOMETRY, description="Pass geometry"),
        ],
    )
    mine, anybody = signed_in(learner.user), Client()
    assert "What else I can earn Mathematician" in told(mine)
    api.receive(make_passing(lms_user_id=4711, course_key=ALGEBRA))
    api.process_pending()
    page = told(mine)
    assert "What I have begun Mathematician 1 of 2 steps done" in page
    assert "Done: Pass algebra" in page
    assert "Still open: Pass geometry" in page
    api.receive(make_passing(lms_user_id=4711, course_key=GEOMETRY))
    api.process_pending()
    assert "What I hold Mathematician" in told(mine)
    credential = api.credentials_of(learner).get()
    public = f"{PAGE}credentials/{credential.pk}/"
    assert anybody.get(public).status_code == 404
    assert mine.post(f"{public}share/", {"public": "yes"}).status_code == 302
    assert "This badge is valid." in told(anybody, public)
    api.revoke(learner, "mathematician", reason="The exam was copied.")
    assert "This badge was revoked. Reason: The exam was copied." in told(anybody, public)
    assert "What I hold Nothing yet." in told(mine)
    api.retire(learner)
    assert anybody.get(public).status_code == 404
