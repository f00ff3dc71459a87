"""What Accredible tells: signed where a secret says so, and only what we fetched ourselves counts."""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import hmac
import json
from collections.abc import Callable
from typing import Any

import pytest
from django.core.cache import cache
from django.test import Client
from hypothesis import given
from hypothesis import strategies as st

from badges import delivery, pipeline
from badges.awarding.models import UserCredential
from badges.catalog.models import BadgeTemplate
from badges.checks import check_providers
from badges.exceptions import Permanent
from badges.issuers import registry, webhooks
from badges.issuers.accredible import states
from badges.issuers.accredible.issuer import AccredibleIssuer
from badges.issuers.accredible.models import AccredibleBadge, AccredibleOrganization, AccredibleState
from badges.issuers.base import BadgeFact
from badges.issuers.models import ProviderTemplate, TemplateState
from badges.issuers.run_kinds import SWEEP, SYNC
from badges.models import InboxMessage
from badges.runs import queue, worker
from badges.runs.models import Run, RunMode
from badges.testing.accredible import AccredibleStandIn
from tests.factories import make_template
from tests.issuers.accredible.conftest import ORGANIZATION

pytestmark = pytest.mark.django_db(transaction=True)

issuer = AccredibleIssuer()


@pytest.fixture
def issued(accredible: AccredibleStandIn, group: str, award: Callable[..., UserCredential]) -> AccredibleBadge:
    """A badge that Accredible has, and that is known here."""
    credential = award(provider="accredible", organization=ORGANIZATION, external_template=group)
    issuer.issue(credential.pk)
    return AccredibleBadge.objects.get()


def post(body: Any, **headers: str) -> int:
    """Post a webhook to the address of the organization and let it be worked on; return the status of the answer."""
    cache.clear()
    secret = webhooks.new_secret("accredible", ORGANIZATION)
    text = body if isinstance(body, (bytes, str)) else json.dumps(body)
    address = f"/api/badges/v1/webhooks/accredible/{ORGANIZATION}/{secret}/"
    status = Client().post(address, text, content_type="application/json", headers=headers).status_code
    pipeline.process_pending()
    delivery.drain()
    return int(status)


def state() -> str:
    return AccredibleBadge.objects.get().state


# --- badges ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("happened", "expected"), [("expire_credential", "expired"), ("delete_credential", "deleted"), (None, "accepted")]
)
@pytest.mark.parametrize("shape", ["data", "top", "flat"])
def test_what_happens_to_a_badge_there_is_shown_here_and_the_credential_stays(
    accredible: AccredibleStandIn, issued: AccredibleBadge, happened: str | None, expected: str, shape: str
) -> None:
    if happened:
        getattr(accredible, happened)(accredible.credentials[0].id)
    described = {"id": int(issued.external_id or 0), "expired_on": "2020-01-01", "approve": False}
    body = {
        "data": {"event_type": "credential.deleted", "data": {"credential": described}},
        "top": {"credential": described},
        "flat": {"data": {"credential_id": issued.external_id}},
    }[shape]
    assert post(body) == 200
    assert state() == expected
    assert UserCredential.objects.get().status == "awarded"


def test_a_badge_that_gets_a_later_end_is_valid_again(accredible: AccredibleStandIn, issued: AccredibleBadge) -> None:
    AccredibleBadge.objects.update(state="expired")
    accredible.expire_credential(accredible.credentials[0].id, on="2999-01-01")
    post({"credential": {"id": issued.external_id}})
    assert state() == "accepted"


def test_a_webhook_with_the_text_of_an_earlier_one_is_heard_unless_it_has_the_same_id(
    accredible: AccredibleStandIn, issued: AccredibleBadge
) -> None:
    there = accredible.credentials[0].id
    accredible.expire_credential(there)
    body = {"credential": {"id": issued.external_id}}
    post(body)
    accredible.expire_credential(there, on="2999-01-01")
    post(body)
    assert state() == "accepted"
    before = InboxMessage.objects.count()
    assert [post({**body, "event_id": "7"}) for _ in range(2)] == [200, 200]
    assert InboxMessage.objects.count() == before + 1


def test_a_badge_of_somebody_else_is_not_even_asked_for(accredible: AccredibleStandIn, issued: AccredibleBadge) -> None:
    before = len(accredible.calls)
    assert post({"credential": {"id": 77}}) == 200
    assert len(accredible.calls) == before


@pytest.mark.parametrize(
    "body",
    [
        b"[]",
        b"{}",
        b"\xff\xfe",
        {"credential": {"id": "../groups"}},
        {"credential_id": None},
        {"group_id": "7/../8"},
        {"credential": {"id": True}},
        "9" * 70_000,
        "[" * 60_000,
    ],
)
def test_what_names_nothing_is_refused(accredible: AccredibleStandIn, group: str, body: Any) -> None:
    assert post(body) in (400, 413, 422)
    assert not InboxMessage.objects.exists()
    assert accredible.counts == {}


# --- signatures ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("place", ["settings", "admin"])
def test_with_a_secret_only_signed_webhooks_are_taken(
    accredible: AccredibleStandIn, issued: AccredibleBadge, settings: Any, place: str
) -> None:
    if place == "settings":
        settings.LMS_BADGES_CONFIG["accredible"]["WEBHOOK_SECRETS"] = {ORGANIZATION: "signing-secret"}
    else:
        entered = AccredibleOrganization(slug=ORGANIZATION)
        entered.webhook_secret = "signing-secret"
        entered.save()
    body = json.dumps({"credential": {"id": issued.external_id}})
    digest = hmac.new(b"signing-secret", body.encode(), hashlib.sha256).digest()
    for wrong in ("", "0" * 64, "\xfc", hmac.new(b"another", body.encode(), hashlib.sha256).hexdigest()):
        assert post(body, **{"X-Accredible-Signature": wrong}) == 400
    assert post(body + " ", **{"X-Accredible-Signature": digest.hex()}) == 400
    assert not InboxMessage.objects.exists()
    for right in (digest.hex().upper(), f"sha256={digest.hex()}", base64.b64encode(digest).decode()):
        assert post(body, **{"X-Accredible-Signature": right}) == 200
    assert InboxMessage.objects.count() == 3


@pytest.mark.parametrize(("setting", "status"), [("ORGANIZATIONS", 404), ("WEBHOOK_SECRETS", 400)])
def test_with_wrong_settings_a_webhook_is_refused(
    accredible: AccredibleStandIn, issued: AccredibleBadge, settings: Any, setting: str, status: int
) -> None:
    secret = webhooks.new_secret("accredible", ORGANIZATION)
    settings.LMS_BADGES_CONFIG["accredible"][setting] = ["academy"]
    address = f"/api/badges/v1/webhooks/accredible/{ORGANIZATION}/{secret}/"
    body = {"credential": {"id": issued.external_id}}
    assert Client().post(address, body, content_type="application/json").status_code == status


def test_the_name_of_the_header_is_a_setting(
    accredible: AccredibleStandIn, issued: AccredibleBadge, settings: Any
) -> None:
    settings.LMS_BADGES_CONFIG["accredible"] |= {
        "WEBHOOK_SECRETS": {ORGANIZATION: "s"},
        "webhook_signature_header": "X-Signature",
    }
    body = json.dumps({"credential": {"id": issued.external_id}})
    signature = hmac.new(b"s", body.encode(), hashlib.sha256).hexdigest()
    assert post(body, **{"X-Signature": signature}) == 200


def test_webhooks_of_the_stand_in_arrive_as_they_are_signed(
    accredible: AccredibleStandIn, issued: AccredibleBadge, settings: Any, live_server: Any
) -> None:
    settings.LMS_BADGES_CONFIG["accredible"]["WEBHOOK_SECRETS"] = {ORGANIZATION: "signing-secret"}
    secret = webhooks.new_secret("accredible", ORGANIZATION)
    address = f"{live_server.url}/api/badges/v1/webhooks/accredible/{ORGANIZATION}/{secret}/"
    accredible.set_webhook(address, secret="signing-secret")
    accredible.expire_credential(accredible.credentials[0].id)
    assert accredible.wait_for_webhooks()
    assert [each.status for each in accredible.deliveries] == [200]
    pipeline.process_pending()
    delivery.drain()
    assert state() == "expired"


# --- the order of what is told ---------------------------------------------------------------------------------------

NOON = dt.datetime(2026, 3, 14, 12, 0, tzinfo=dt.UTC)
TOLD = st.sampled_from(["accepted", "pending", "valid", "expired", "deleted", "nonsense"])


@given(before=st.sampled_from(AccredibleState.values), told=st.lists(TOLD, max_size=4))
def test_a_deleted_badge_stays_deleted_and_no_unknown_word_is_stored(before: str, told: list[str]) -> None:
    after = before
    for word in told:
        after = states.state_after(after, word)
        assert after in AccredibleState.values
    if "deleted" in told:
        assert after == "deleted"


def test_what_was_asked_for_earlier_changes_nothing(accredible: AccredibleStandIn, issued: AccredibleBadge) -> None:
    def told(word: str, minutes: int) -> BadgeFact:
        return BadgeFact(str(issued.external_id), word, NOON + dt.timedelta(minutes=minutes))

    AccredibleBadge.objects.update(state_at=NOON)
    states.write(ORGANIZATION, [told("expired", 5), told("pending", 2)])
    assert state() == "expired"
    states.write(ORGANIZATION, [told("accepted", 4)])
    assert state() == "expired"
    states.write("another", [told("accepted", 9)])
    assert state() == "expired"
    assert states.write(ORGANIZATION, [told("expired", 8)]) == 0
    assert states.write(ORGANIZATION, [told("accepted", 7)]) == 0
    assert state() == "expired"


def test_a_fetch_that_began_before_a_revocation_does_not_bring_the_badge_back(
    accredible: AccredibleStandIn, issued: AccredibleBadge
) -> None:
    facts = issuer.fetch(ORGANIZATION, {"credential": str(issued.external_id)})
    issuer.revoke(issued.pk, "")
    issuer.write_badges(ORGANIZATION, [each for each in facts if isinstance(each, BadgeFact)], now=NOON)
    assert state() == "revoked"
    later = issuer.fetch(ORGANIZATION, {"credential": str(issued.external_id)})
    issuer.write_badges(ORGANIZATION, [each for each in later if isinstance(each, BadgeFact)], now=NOON)
    assert state() == "revoked"  # expired there, because it was revoked here


# --- groups and what was missed --------------------------------------------------------------------------------------


def done(kind: str, organization: str = ORGANIZATION) -> dict[str, int]:
    started = queue.start(kind, mode=RunMode.APPLY, parameters={"provider": "accredible", "organization": organization})
    worker.work()
    run = Run.objects.get(pk=started.pk)
    assert run.state == "done", run.note
    return run.read_counts()


def test_all_groups_become_templates_with_words_and_image(accredible: AccredibleStandIn) -> None:
    for number in range(51):
        accredible.add_group(name=f"Group {number}", course_name=f"Course {number}", description="About it")
    assert done(SYNC) == {"taken over": 51}
    assert accredible.counts["groups"] == 2
    template = BadgeTemplate.objects.get(slug="course-0")
    there = template.issuers.get()
    assert (there.provider, there.organization) == ("accredible", ORGANIZATION)
    assert template.description == "About it"
    assert template.provider_image_url.startswith("https://images.example.com/")
    copy = ProviderTemplate.objects.get(external_id=there.external_template)
    assert copy.management_url.endswith(f"/issuer/dashboard/group/{copy.external_id}/information-and-appearance")
    assert done(SYNC) == {"unchanged": 51}


def test_a_sync_touches_only_the_groups_of_its_own_organization_and_no_template_of_another_provider(
    accredible: AccredibleStandIn, settings: Any
) -> None:
    other = accredible.add_organization()
    settings.LMS_BADGES_CONFIG["accredible"]["ORGANIZATIONS"]["other"] = other.key
    mine = accredible.add_group(1, name="Mine")
    theirs = accredible.add_group(2, name="Theirs", organization=other.id)
    done(SYNC)
    done(SYNC, "other")
    at_credly = {"provider": "credly", "organization": ORGANIZATION, "template": str(mine.id)}
    make_template(slug="elsewhere", issuers=[at_credly])
    accredible.delete_group(theirs.id)
    assert done(SYNC) == {"unchanged": 1}
    assert ProviderTemplate.objects.get(organization="other").state == TemplateState.ACTIVE
    accredible.delete_group(mine.id)
    assert done(SYNC) == {"archived": 1}
    archived = BadgeTemplate.objects.exclude(archived_at=None).values_list("slug", flat=True)
    assert set(archived) == {"mine"}
    assert done(SYNC, "other") == {"archived": 1}


def test_a_webhook_about_a_group_lets_its_template_follow(accredible: AccredibleStandIn, group: str) -> None:
    done(SYNC)
    accredible.change_group(int(group), name="Renamed")
    assert post({"group": {"id": int(group), "name": "Forged"}}) == 200
    assert BadgeTemplate.objects.get().name == "Renamed"
    accredible.delete_group(int(group))
    post({"group": {"id": int(group)}, "event_id": "2"})
    assert BadgeTemplate.objects.get().archived_at is not None


def test_a_webhook_about_a_group_that_was_never_there_writes_nothing(accredible: AccredibleStandIn) -> None:
    assert post({"group": {"id": 987}}) == 200
    assert not ProviderTemplate.objects.exists()
    at_accredible = {"provider": "accredible", "organization": ORGANIZATION, "template": "988"}
    make_template(slug="named", issuers=[at_accredible])
    post({"group": {"id": 988}})
    assert BadgeTemplate.objects.get().archived_at is not None


def test_a_list_of_groups_that_goes_on_at_another_host_is_not_followed(
    accredible: AccredibleStandIn, group: str
) -> None:
    accredible.link_elsewhere("http://127.0.0.2:9/v1/groups", on="groups")
    with pytest.raises(Permanent, match="Nothing was sent there"):
        issuer.template_page(ORGANIZATION)


@pytest.mark.parametrize("page", [{"groups": [], "meta": {"next_page": 1}}, {"groups": [], "meta": {"next_page": -4}}])
def test_a_list_that_does_not_end_is_an_error(accredible: AccredibleStandIn, page: Any) -> None:
    accredible.answer(on="groups", status=200, body=json.dumps(page))
    with pytest.raises(Permanent, match="does not end"):
        issuer.template_page(ORGANIZATION)


def test_a_sweep_finds_what_no_webhook_told(accredible: AccredibleStandIn, issued: AccredibleBadge) -> None:
    webhooks.note_organizations([("accredible", ORGANIZATION)])
    accredible.expire_credential(accredible.credentials[0].id)
    assert done(SWEEP) == {"states of badges": 1}
    assert state() == "expired"
    assert done(SWEEP) == {}


def test_a_list_does_not_say_that_a_badge_is_published(accredible: AccredibleStandIn, issued: AccredibleBadge) -> None:
    webhooks.note_organizations([("accredible", ORGANIZATION)])
    AccredibleBadge.objects.update(state="pending")
    assert done(SWEEP) == {}
    assert state() == "pending"


def test_its_organizations_are_known_by_settings_and_admin(accredible: AccredibleStandIn, settings: Any) -> None:
    entered = AccredibleOrganization(slug="of-the-admin")
    entered.api_key = accredible.key
    entered.save()
    AccredibleOrganization.objects.create(slug="without-key")
    settings.LMS_BADGES_CONFIG["accredible"]["ORGANIZATIONS"] |= {"no slug": "x", "empty": ""}
    assert registry.get("accredible").organizations() == [ORGANIZATION, "of-the-admin"]
    assert issuer.check_organization("of-the-admin") == "Stand-in Academy"


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (
            {"ORGANIZATIONS": {"no slug": "key"}},
            "entry 1 of ORGANIZATIONS in LMS_BADGES_CONFIG['accredible'] is no slug",
        ),
        ({"ORGANIZATIONS": {"academy": "a b"}}, "holds no API key for academy"),
        ({"authorization": "Bearer"}, "no place for the key"),
        ({"update_method": "POST"}, "neither PATCH nor PUT"),
    ],
)
def test_checks_name_what_is_wrong_with_the_settings(settings: Any, given: dict[str, Any], words: str) -> None:
    settings.LMS_BADGES_CONFIG = {"accredible": given}
    (problem,) = check_providers()
    assert words in problem.msg
    assert problem.hint
