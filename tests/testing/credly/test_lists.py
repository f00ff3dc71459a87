"""Finding badges, templates and events: filters, pages, and what never comes up."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import pytest


def all_pages(ask: Any, path: str) -> list[dict[str, Any]]:
    """Walk a list by its own links."""
    rows, answer = [], ask("GET", path).json()
    while True:
        rows += answer["data"]
        if answer["metadata"]["next_page_url"] is None:
            return rows
        answer = ask.session.get(answer["metadata"]["next_page_url"], timeout=20).json()


def test_a_badge_is_found_by_our_id_of_the_learner_and_the_template(credly, template, ask):
    other = credly.add_template(name="Geometry star")
    wanted = ask.issue(template).json()["data"]["id"]
    ask.issue(other)
    ask.issue(template, issuer_earner_id="EARNER-17", recipient_email="other@example.com")

    answer = ask("GET", "/badges", params={"filter": f"issuer_earner_id::earner-17|badge_template_id::{template.id}"})

    assert [badge["id"] for badge in answer.json()["data"]] == [wanted]
    assert answer.json()["data"][0]["badge_template"]["id"] == template.id
    assert answer.json()["metadata"]["total_count"] == 1


def test_a_search_that_finds_nobody_is_an_empty_page(ask):
    answer = ask("GET", "/badges", params={"filter": "issuer_earner_id::nobody"}).json()
    assert (answer["data"], answer["metadata"]["total_pages"], answer["metadata"]["next_page_url"]) == ([], 1, None)


@pytest.mark.parametrize(
    "text", ["issuer_id::17", "issuer_earner_id=17", "::", "a::b|c::d", "|".join(["state::x"] * 50)]
)
def test_a_filter_that_nobody_knows_is_refused_rather_than_ignored(template, ask, text):
    ask.issue(template)
    assert ask("GET", "/badges", params={"filter": text}).status_code == 422


def test_a_badge_is_read_by_its_id(template, ask):
    badge_id = ask.issue(template).json()["data"]["id"]
    assert ask("GET", f"/badges/{badge_id}").json()["data"]["recipient_email"] == "ada@example.com"


def test_only_active_templates_are_listed_fifty_a_page(credly, ask):
    names = [credly.add_template(name=f"Star {number}").name for number in range(120)]
    credly.add_template(name="A draft", state="draft")
    credly.archive_template(credly.add_template(name="An old one").id)

    first = ask("GET", "/badge_templates?filter=state::active&page=1").json()

    assert (len(first["data"]), first["metadata"]["total_pages"], first["metadata"]["total_count"]) == (50, 3, 120)
    assert first["metadata"]["previous_page_url"] is None
    assert [one["name"] for one in all_pages(ask, "/badge_templates?filter=state::active")] == names
    assert len(ask("GET", "/badge_templates?filter=state::active&page=3").json()["data"]) == 20


def test_the_next_page_is_on_the_same_host(credly, ask):
    for _ in range(51):
        credly.add_template()
    link = ask("GET", "/badge_templates").json()["metadata"]["next_page_url"]
    assert urlsplit(link).netloc == urlsplit(credly.url).netloc


@pytest.mark.parametrize(
    ("page", "names"), [("2", []), ("0", ["Algebra star"]), ("-1", ["Algebra star"]), ("x", ["Algebra star"])]
)
def test_an_odd_page_number_is_no_error(template, ask, page, names):
    answer = ask("GET", "/badge_templates", params={"page": page})
    assert (answer.status_code, [one["name"] for one in answer.json()["data"]]) == (200, names)


def test_templates_of_several_states_are_listed_by_commas(credly, template, ask):
    credly.add_template(name="A draft", state="draft")
    credly.add_template(name="An old one", state="archived")
    names = [one["name"] for one in ask("GET", "/badge_templates?filter=state::active,draft").json()["data"]]
    assert names == ["Algebra star", "A draft"]


def test_a_template_is_read_by_its_id_until_it_is_deleted(credly, template, ask):
    assert ask("GET", f"/badge_templates/{template.id}").json()["data"]["name"] == "Algebra star"
    credly.delete_template(template.id)
    assert ask("GET", f"/badge_templates/{template.id}").status_code == 404


def test_the_organization_tells_its_name_and_none_of_its_keys(credly, ask):
    answer = ask("GET")
    assert answer.json()["data"]["id"] == credly.organization
    assert credly.token not in answer.text
    assert credly.client_secret not in answer.text


def test_what_happens_to_badges_and_templates_is_an_event_with_the_thing_as_it_was(credly, template, ask):
    badge_id = ask.issue(template).json()["data"]["id"]
    credly.accept_badge(badge_id)
    credly.change_template(template.id, name="Algebra super star")
    credly.archive_template(template.id)
    credly.delete_template(template.id)
    credly.revoke_badge(badge_id)
    credly.delete_badge(badge_id)

    events = ask("GET", "/events").json()["data"]

    assert [event["event_type"] for event in events] == [
        "badge_template.created",
        "badge.created",
        "badge.state.changed",
        "badge_template.changed",
        "badge_template.changed",
        "badge_template.deleted",
        "badge.state.changed",
        "badge.deleted",
    ]
    assert [event["badge"]["state"] for event in events if "badge" in event] == [
        "pending",
        "accepted",
        "revoked",
        "revoked",
    ]
    one = ask("GET", f"/events/{events[3]['id']}").json()["data"]
    assert (one["badge_template"]["name"], one["organization"]["id"]) == ("Algebra super star", credly.organization)


def test_events_are_filtered_by_type(credly, template, ask):
    ask.issue(template)
    answer = ask("GET", "/events?filter=event_type::badge.created").json()
    assert [event["event_type"] for event in answer["data"]] == ["badge.created"]


def test_a_rejected_badge_says_so(credly, template, ask):
    badge_id = ask.issue(template).json()["data"]["id"]
    credly.reject_badge(badge_id)
    credly.set_badge_privacy(badge_id, public=False)
    data = ask("GET", f"/badges/{badge_id}").json()["data"]
    assert (data["state"], data["public"]) == ("rejected", False)
