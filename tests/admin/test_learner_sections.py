"""One page shows what a learner holds, is on the way to and waits for, with what staff can do about it."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from badges.issuers import registry
from tests.factories import (
    REVOKED,
    BadgeProgressFactory,
    FulfillmentFactory,
    LearnerFactory,
    OutboxMessageFactory,
    UserCredentialFactory,
    credly_issuer,
    make_template,
    requirement,
)

pytestmark = [pytest.mark.django_db, pytest.mark.tables]


@pytest.fixture
def learner() -> Any:
    """Somebody with a badge that Credly refused, a blocked one, and one that is half earned."""
    found = LearnerFactory()
    nest = make_template("nest", issuers=[credly_issuer()], name="Nest")
    held = UserCredentialFactory(learner=found, template=nest)
    registry.prepare([(held, ("credly", *list(credly_issuer().values())[1:]))])
    OutboxMessageFactory(
        channel="credly",
        type="issue",
        key=str(held.learner_template_id),
        state="dead",
        due_at=None,
        last_error="Credly refused the badge (422): the e-mail address is odd.",
    )
    OutboxMessageFactory(key=str(found.pk), postponed_for="announce:kafka")
    OutboxMessageFactory(key="999999", last_error="of somebody else")
    UserCredentialFactory(
        learner=found, template=make_template("tail", name="Tail"), **REVOKED, public_reason="Copied.", blocked=True
    )
    half = make_template("half", requirement("alpha"), requirement("beta"), name="Half")
    progress = BadgeProgressFactory(learner=found, template=half)
    FulfillmentFactory(progress=progress, requirement=half.requirements.get(key="alpha"))
    return found


def page_of(client: Any, learner: Any) -> str:
    return client.get(reverse("admin:lms_badges_learner_change", args=[learner.pk])).content.decode()


def rows_of(page: str) -> dict[str, list[list[str]]]:
    """Return the cells of each section, without tags."""
    found = {}
    for section in re.findall(r'<section class="module lms-badges-section".*?</section>', page, re.DOTALL):
        title = re.search(r"<h2[^>]*>(.*?)</h2>", section)
        body = section.partition("<tbody>")[2].partition("</tbody>")[0]
        cells = [re.findall(r"<td>(.*?)</td>", row, re.DOTALL) for row in re.findall(r"<tr>.*?</tr>", body, re.DOTALL)]
        assert title is not None
        found[title[1]] = [[" ".join(re.sub(r"<[^>]*>", " ", cell).split()) for cell in row] for row in cells]
    return found


def test_the_page_shows_badges_progress_and_deliveries(admin_client: Any, learner: Any) -> None:
    found = rows_of(page_of(admin_client, learner))
    assert list(found) == ["Credentials", "Progress", "Deliveries"]
    badges = {row[0]: row for row in found["Credentials"]}
    assert (badges["Nest"][1], badges["Nest"][4], badges["Nest"][5]) == ("awarded", "credly: to be issued", "Revoke")
    assert (badges["Tail"][1], badges["Tail"][5]) == ("revoked", "Lift block")
    assert [row[:3] for row in found["Progress"]] == [["Half", "1 of 2", "beta"]]
    (announced, refused) = found["Deliveries"]
    assert announced[:3] == ["announce · badge.awarded", "waiting", "the circuit announce:kafka"]
    assert refused[:2] == ["credly · issue", "dead letter"]
    assert refused[3] == "Credly refused the badge (422): the e-mail address is odd."
    assert refused[5] == announced[5] == "Try again now"


def test_each_button_leads_to_a_page_that_asks_first(admin_client: Any, learner: Any) -> None:
    addresses = re.findall(r'<a class="button" href="([^"]*)">', page_of(admin_client, learner))
    assert len(addresses) == 4
    for address in addresses:
        assert '<form method="post"' in admin_client.get(address).content.decode()


@pytest.mark.parametrize(
    ("permissions", "sections", "buttons"),
    [
        (["view_learner"], [], 0),
        (["view_learner", "view_usercredential"], ["Credentials"], 0),
        (["view_learner", "view_usercredential", "revoke_usercredential"], ["Credentials"], 2),
        (["view_learner", "view_badgeprogress"], ["Progress"], 0),
        (["view_learner", "view_outboxmessage"], ["Deliveries"], 0),
        (["view_learner", "view_outboxmessage", "retry_outboxmessage"], ["Deliveries"], 2),
    ],
)
def test_who_may_not_view_a_table_does_not_see_its_section(
    client: Any, staff: Callable[..., Any], learner: Any, permissions: list[str], sections: list[str], buttons: int
) -> None:
    client.force_login(staff(*permissions))
    page = page_of(client, learner)
    assert list(rows_of(page)) == sections
    assert page.count('<a class="button"') == buttons


def test_a_long_history_costs_no_more_statements_and_the_newest_are_shown(admin_client: Any, learner: Any) -> None:
    page_of(admin_client, learner)  # what is loaded once
    with CaptureQueriesContext(
        connection,
    ) as before:
        page_of(admin_client, learner)
    for number in range(25):
        template = make_template(f"more-{number}", requirement("alpha"))
        UserCredentialFactory(learner=learner, template=template)
        BadgeProgressFactory(learner=learner, template=template)
        OutboxMessageFactory(key=str(learner.pk))
    with CaptureQueriesContext(connection) as after:
        found = rows_of(page_of(admin_client, learner))
    assert len(after) <= len(before)
    assert [len(rows) for rows in found.values()] == [20, 20, 20]


def test_somebody_without_anything_has_empty_sections(admin_client: Any) -> None:
    page = page_of(admin_client, LearnerFactory())
    assert page.count("Nothing yet.") == 3
