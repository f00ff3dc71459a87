"""What goes wrong on request: what the caller sees, and what the records knows."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

import pytest
import requests

from badges.testing.credly import ENDPOINTS


def test_refused_connections_come_back_on_the_same_port(credly, template, ask):
    assert ask("GET").status_code == 200
    url = credly.url

    credly.refuse()
    for _ in range(2):  # the connection that was kept open is cut, too
        with pytest.raises(requests.ConnectionError):
            ask.issue(template)

    credly.recover()
    assert credly.url == url
    assert ask.issue(template).status_code == 201
    assert credly.counts == {"issue": 1, "organization": 1}


def test_connections_can_be_refused_for_a_moment(credly, ask):
    credly.refuse(seconds=2)
    with pytest.raises(requests.ConnectionError):
        ask("GET")
    give_up = time.monotonic() + 60
    while time.monotonic() < give_up:
        try:
            assert ask("GET").status_code == 200
            return
        except requests.ConnectionError:
            time.sleep(0.05)
    pytest.fail("the port was never opened again")


def test_retry_after_is_given_in_seconds(credly, template, ask):
    credly.throttle(retry_after=7, times=2)
    for _ in range(2):
        answer = ask.issue(template)
        assert (answer.status_code, answer.headers["Retry-After"]) == (429, "7")
    assert ask.issue(template).status_code == 201
    assert len(credly.badges) == 1


def test_retry_after_is_given_as_a_date(credly, template, ask):
    later = datetime.now(UTC).replace(microsecond=0) + timedelta(minutes=2)
    credly.throttle(retry_after=later, times=1)
    assert parsedate_to_datetime(ask.issue(template).headers["Retry-After"]) == later


@pytest.mark.parametrize(("retry_after", "header"), [(None, None), ("soon", "soon"), (0, "0")])
def test_retry_after_may_be_missing_or_odd(credly, template, ask, retry_after, header):
    credly.throttle(retry_after=retry_after, times=1)
    assert ask.issue(template).headers.get("Retry-After") == header


def test_a_breakdown_lasts_for_so_many_requests(credly, template, ask):
    credly.break_down(status=502, times=2)
    assert [ask.issue(template).status_code for _ in range(3)] == [502, 502, 201]


def test_a_breakdown_lasts_until_recovery(credly, template, ask):
    credly.break_down()
    assert {ask.issue(template).status_code for _ in range(5)} == {503}
    assert credly.badges == []
    credly.recover()
    assert ask.issue(template).status_code == 201


def test_a_5xx_may_hide_that_the_badge_was_issued(credly, template, ask):
    credly.break_down(status=500, times=1, carried_out=True)
    assert ask.issue(template).status_code == 500
    assert len(credly.badges) == 1
    assert ask.issue(template).status_code == 422


def test_a_dropped_answer_leaves_the_badge_behind(credly, template, ask):
    credly.drop(on="issue")
    with pytest.raises(requests.ConnectionError):
        ask.issue(template)

    [badge] = credly.badges
    found = ask("GET", "/badges", params={"filter": f"issuer_earner_id::earner-17|badge_template_id::{template.id}"})
    assert [one["id"] for one in found.json()["data"]] == [badge.id]
    assert [call.status for call in credly.calls] == [None, 200]


def test_a_connection_can_also_be_dropped_before_anything_is_done(credly, template, ask):
    credly.drop(on="issue", carried_out=False)
    with pytest.raises(requests.ConnectionError):
        ask.issue(template)
    assert credly.badges == []
    assert credly.counts == {"issue": 1}


def test_a_slow_answer_comes_after_the_badge_was_issued(credly, template, ask):
    credly.slow_down(5, on="issue", times=1)
    with pytest.raises(requests.Timeout):
        ask.issue(template, timeout=1)
    assert len(credly.badges) == 1
    assert ask("GET").elapsed < timedelta(seconds=4)  # the others do not wait


def test_a_failure_hits_only_the_endpoint_it_was_asked_for(credly, template, ask):
    credly.break_down(on="issue")
    assert ask("GET").status_code == 200
    assert ask("GET", "/badges").status_code == 200
    assert ask.issue(template).status_code == 503


def test_a_failure_of_all_endpoints_hits_each(credly, template, ask):
    badge_id = ask.issue(template).json()["data"]["id"]
    event_id = credly.events[0].id
    credly.break_down()

    answers = [
        ask.issue(template),
        ask("GET", "/badges"),
        ask("GET", f"/badges/{badge_id}"),
        ask("PUT", f"/badges/{badge_id}/revoke", json={}),
        ask("GET"),
        ask("GET", "/badge_templates"),
        ask("GET", f"/badge_templates/{template.id}"),
        ask("GET", "/events"),
        ask("GET", f"/events/{event_id}"),
        ask.session.post(f"{credly.url}/oauth/token", timeout=20),
    ]

    assert {answer.status_code for answer in answers} == {503}
    assert [call.endpoint for call in credly.calls[1:]] == list(ENDPOINTS)


def test_failures_of_one_endpoint_happen_in_the_order_they_were_asked_for(credly, template, ask):
    credly.throttle(times=1)
    credly.break_down(times=1)
    credly.answer(status=422, body='{"errors": ', headers={"Content-Type": "application/json"})

    answers = [ask.issue(template) for _ in range(4)]

    assert [answer.status_code for answer in answers] == [429, 503, 422, 201]
    assert answers[2].text == '{"errors": '


def test_a_page_can_point_to_another_host(credly, template, ask):
    credly.link_elsewhere("http://attacker.example/v1/next", on="templates")
    answer = ask("GET", "/badge_templates").json()
    assert [one["id"] for one in answer["data"]] == [template.id]
    assert answer["metadata"]["next_page_url"] == "http://attacker.example/v1/next"
    assert ask("GET", "/badge_templates").json()["metadata"]["next_page_url"] is None


def test_an_unknown_kind_of_endpoint_is_refused_with_the_known_ones(credly):
    with pytest.raises(ValueError, match="issue, find_badges"):
        credly.break_down(on="isue")


def test_calls_say_what_was_asked_and_answered(credly, template, ask):
    ask.issue(template)
    ask("GET", "/nothing/here")
    issue, unknown = credly.calls
    assert (issue.method, issue.endpoint, issue.status) == ("POST", "issue", 201)
    assert '"ada@example.com"' in issue.body
    assert (unknown.endpoint, unknown.status) == ("unknown", 404)
    assert issue.path.endswith("/badges")
    assert datetime.now(UTC) - issue.at < timedelta(minutes=5)


def test_no_key_is_written_down_with_the_calls(credly, template, ask):
    ask.issue(template)
    assert credly.token not in str(credly.calls)
