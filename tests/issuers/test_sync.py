"""The sync of templates and the sweep of events: every page, nothing lost, and nothing twice."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any

import pytest
from django.utils import timezone

from badges.catalog import editing
from badges.catalog.api import export_template
from badges.catalog.editing import Draft
from badges.catalog.models import BadgeTemplate, CatalogVersion, TemplateRevision
from badges.catalog.validation import read_template
from badges.catalog.versions import editing_transaction
from badges.issuers import registry, schedules, templates, webhooks
from badges.issuers.base import TemplateFact
from badges.issuers.credly.models import CredlyBadge
from badges.issuers.models import ProviderOrganization, ProviderTemplate, TemplateState
from badges.issuers.run_kinds import SWEEP, SYNC
from badges.runs import queue, worker
from badges.runs.models import Run, RunMode, RunState
from badges.testing.credly import CredlyStandIn
from tests.factories import credly_issuer, make_template
from tests.support.statement_counts import counted_statements

pytestmark = pytest.mark.django_db(transaction=True)
STRANGER = "5d1f0a36-4a3c-4f1a-8c39-0f3a1c0b7e11"


def run(credly: CredlyStandIn, kind: str = SYNC, mode: RunMode = RunMode.APPLY) -> Run:
    """Start a run about the organization, and carry it out."""
    parameters = {"provider": "credly", "organization": credly.organization}
    started = queue.start(kind, mode=mode, parameters=parameters)
    worker.work()
    started.refresh_from_db()
    return started


def done(credly: CredlyStandIn, kind: str = SYNC, mode: RunMode = RunMode.APPLY) -> dict[str, int]:
    """Carry out a run, and return what it counted."""
    finished = run(credly, kind, mode)
    assert finished.state == RunState.DONE, finished.note
    return finished.read_counts()


# --- the sync --------------------------------------------------------------------------------------------------------


def test_all_pages_and_all_states_are_read(credly):
    for number in range(101):
        credly.add_template(name=f"Badge {number:03d}", state=("active", "draft", "archived")[number % 3])
    assert done(credly) == {"taken over": 68, "unchanged": 33}
    assert ProviderTemplate.objects.count() == 101
    assert BadgeTemplate.objects.count() == 68  # nothing is made of what is archived already
    assert not BadgeTemplate.objects.filter(is_active=True).exists()
    first = BadgeTemplate.objects.get(slug="badge-000")
    issuer = first.issuers.get()
    assert (issuer.provider, issuer.organization) == ("credly", credly.organization)
    assert first.requirements.count() == 0
    assert credly.counts["templates"] == 3


def test_a_second_sync_changes_nothing(credly):
    for number in range(3):
        credly.add_template(name=f"Badge {number}")
    done(credly)
    before = TemplateRevision.objects.count(), CatalogVersion.objects.get().number
    assert done(credly) == {"unchanged": 3}
    assert (TemplateRevision.objects.count(), CatalogVersion.objects.get().number) == before
    assert ProviderOrganization.objects.get().synced_at is not None


def test_what_is_archived_or_gone_there_is_archived_here_with_all_that_it_has(credly):
    kept, archived, gone = (credly.add_template(name=name) for name in ("Kept", "Archived", "Gone"))
    for each in (kept, archived, gone):
        make_template(slug=each.name, issuers=[credly_issuer(credly.organization, each.id)])
    done(credly)
    credly.archive_template(archived.id)
    credly.delete_template(gone.id)
    assert done(credly) == {"unchanged": 1, "archived": 2}
    assert set(BadgeTemplate.objects.filter(archived_at=None).values_list("slug", flat=True)) == {"Kept"}
    assert [each.requirements.count() for each in BadgeTemplate.objects.all()] == [1, 1, 1]
    assert set(ProviderTemplate.objects.values_list("name", "state")) == {
        ("Kept", TemplateState.ACTIVE),
        ("Archived", TemplateState.ARCHIVED),
        ("Gone", TemplateState.GONE),
    }


def test_a_template_that_the_list_has_left_out_is_looked_up_before_it_counts_as_gone(credly):
    """A list may shift while it is read."""
    template = credly.add_template(name="Shy")
    done(credly)
    page = {"data": [], "metadata": {"next_page_url": None}}
    credly.answer(status=200, body=json.dumps(page), on="templates")
    assert done(credly) == {"unchanged": 1}
    assert BadgeTemplate.objects.get().archived_at is None
    assert ProviderTemplate.objects.get().external_id == template.id


def test_an_account_that_has_none_of_the_templates_archives_nothing(credly):
    """Such as the sandbox instead of production."""
    known = [credly.add_template(name=f"Badge {number}") for number in range(3)]
    done(credly)
    for each in known:
        credly.delete_template(each.id)
    credly.add_template(name="Another one")
    for _ in range(2):  # the second time the other account's template is known
        failed = run(credly)
        assert failed.state == RunState.FAILED
        assert "none of the 3 templates" in failed.note
        assert not BadgeTemplate.objects.exclude(archived_at=None).exists()
    BadgeTemplate.objects.exclude(name="Another one").update(archived_at=timezone.now())  # the remedy of the message
    assert done(credly) == {"unchanged": 4}


def test_a_plan_says_what_would_be_done_and_does_nothing(credly):
    old, renamed, new = (credly.add_template(name=name) for name in ("Old", "Renamed", "New"))
    make_template(slug="old", issuers=[credly_issuer(credly.organization, old.id)])
    assert done(credly, mode=RunMode.PLAN) == {"would be taken over": 2, "would be unchanged": 1}
    assert not ProviderTemplate.objects.exists()
    assert BadgeTemplate.objects.count() == 1
    done(credly)
    credly.delete_template(old.id)
    credly.change_template(renamed.id, name="New name")
    wanted = {"would be archived": 1, "would be changed": 1, "would be unchanged": 1}
    assert done(credly, mode=RunMode.PLAN) == wanted
    assert set(BadgeTemplate.objects.filter(archived_at=None).values_list("name", flat=True)) == {
        "Marsupilami " + BadgeTemplate.objects.get(slug="old").name.rpartition(" ")[2],
        "Renamed",
        "New",
    }
    assert new.id in ProviderTemplate.objects.values_list("external_id", flat=True)


def test_a_description_of_several_lines_that_a_browser_has_saved_follows_all_the_same(credly):
    template = credly.add_template(name="Star", description="One\r\ntwo")
    done(credly)
    assert BadgeTemplate.objects.get().description == "One\ntwo"
    document, _ = read_template({**export_template(BadgeTemplate.objects.get()), "description": "One\r\ntwo"})
    assert document
    with editing_transaction():
        editing.save([Draft("", document)], author=None, now=timezone.now())
    credly.change_template(template.id, description="One\r\ntwo\r\nthree")
    assert done(credly) == {"changed": 1}
    assert BadgeTemplate.objects.get().description == "One\ntwo\nthree"


def test_a_template_that_staff_deleted_or_archived_does_not_come_back(credly):
    for name in ("Deleted", "Archived"):
        credly.add_template(name=name)
    done(credly)
    BadgeTemplate.objects.get(slug="deleted").delete()
    BadgeTemplate.objects.filter(slug="archived").update(archived_at=timezone.now())
    assert done(credly) == {"unchanged": 2}
    assert BadgeTemplate.objects.get().archived_at is not None


def test_a_template_of_a_pack_keeps_its_own_words_and_shows_the_image_of_the_provider(credly):
    template = credly.add_template(name="Their name")
    ours = make_template(
        slug="ours", name="Our name", issuers=[credly_issuer(credly.organization.upper(), template.id.upper())]
    )
    assert done(credly) == {"unchanged": 1}
    credly.change_template(template.id, name="Their new name")
    assert done(credly) == {"unchanged": 1}
    ours = BadgeTemplate.objects.get()
    assert ours.name == "Our name"
    assert (ours.image_url, ours.shown_image_url) == ("", f"https://images.example.com/{template.id}.png")
    assert ours.revisions.count() == 1
    copy = templates.at_providers([ours], registry.working())[ours.pk][0]
    assert copy.management_url == (
        f"https://credly.com/mgmt/organizations/{credly.organization}/badges/templates/{template.id}/details"
    )


def test_names_of_any_script_and_equal_names_get_slugs_of_their_own(credly):
    names = ["Кириллица", "名前", "Same", "Same", "same", " \u0000 ", "x" * 300, "-", "a/b?c#d"]
    for name in names:
        credly.add_template(name=name)
    make_template(slug="same")
    assert done(credly) == {"taken over": 9}
    made = BadgeTemplate.objects.exclude(slug="same")
    assert {"Кириллица", "名前", "Same", "x" * 255} <= set(made.values_list("name", flat=True))
    assert made.filter(slug__startswith="credly-").count() == 3


@pytest.mark.parametrize("scheme", ["javascript:alert(1)", "data:image/png;base64,AA", "//evil.example/x", "file:///x"])
def test_no_image_is_loaded_from_another_scheme(credly, scheme):
    fact = TemplateFact(id=STRANGER, state=TemplateState.ACTIVE, name="Odd", image_url=scheme, management_url=scheme)
    templates.write_templates(registry.get("credly"), credly.organization, [fact], now=timezone.now())
    copy = ProviderTemplate.objects.get()
    assert (copy.image_url, copy.management_url) == ("", "")
    assert BadgeTemplate.objects.get().shown_image_url == ""


@pytest.mark.parametrize(
    "link", ["http://127.0.0.2:9/v1/organizations", "{base}/%2e%2e/admin", "{base}/../admin", "{host}/v2/x", "ftp://x/"]
)
def test_a_link_to_another_place_is_never_followed(credly, link):
    credly.add_template(name="First page")
    link = link.format(base=credly.url, host=credly.url.removesuffix("/v1"))
    page = {"data": [], "metadata": {"next_page_url": link}}
    credly.answer(status=200, body=json.dumps(page), on="templates")
    failed = run(credly)
    assert failed.state == RunState.FAILED
    assert "Nothing was sent there" in failed.note
    assert len(credly.calls) == 1


def test_a_list_that_leads_to_itself_ends(credly):
    address = f"{credly.url}/organizations/{credly.organization}/badge_templates?page=1"
    page = {"data": [], "metadata": {"next_page_url": address}}
    credly.answer(status=200, body=json.dumps(page), on="templates", times=None)
    failed = run(credly)
    assert failed.state == RunState.FAILED
    assert "does not end" in failed.note
    assert len(credly.calls) == 2


def test_a_sync_goes_on_where_it_stopped(credly):
    for number in range(120):
        credly.add_template(name=f"Badge {number:03d}")
    parameters = {"provider": "credly", "organization": credly.organization}
    started = queue.start(SYNC, mode=RunMode.APPLY, parameters=parameters)
    worker.carry_out(queue.claim(now=timezone.now()), should_stop=lambda: credly.counts["templates"] > 1)
    started.refresh_from_db()
    assert 0 < started.done < 120
    read = credly.counts["templates"]
    worker.work()
    started.refresh_from_db()
    assert (started.state, started.done, BadgeTemplate.objects.count()) == (RunState.DONE, 120, 120)
    assert credly.counts["templates"] <= read + 3


def test_a_wrong_token_fails_the_run_with_the_remedy(credly, settings):
    settings.LMS_BADGES_CONFIG["credly"]["ORGANIZATIONS"] = {credly.organization: "wrong"}
    failed = run(credly)
    assert failed.state == RunState.FAILED
    assert "token" in failed.note


def test_the_statements_do_not_grow_with_the_templates_of_a_page(credly):
    issuer, now = registry.get("credly"), timezone.now()
    counts = []
    for size in (5, 50):
        facts = [
            TemplateFact(
                id=f"{size:08d}-0000-4000-8000-{number:012d}", state=TemplateState.ACTIVE, name=f"{size} {number}"
            )
            for number in range(size)
        ]
        for each in (facts, facts, [TemplateFact(fact.id, TemplateState.ARCHIVED, name="Z") for fact in facts]):
            with counted_statements() as counted:
                templates.write_templates(issuer, credly.organization, each, now=now)
            counts.append(len(counted))
    assert counts[:3] == counts[3:]
    assert counts[1] < 12


# --- the sweep -------------------------------------------------------------------------------------------------------


@pytest.fixture
def missed(credly: CredlyStandIn, award: Any) -> CredlyBadge:
    """A badge that its learner has accepted, which no webhook told."""
    template = credly.add_template()
    credential = award(organization=credly.organization, external_template=template.id)
    registry.get("credly").issue(credential.pk)
    webhooks.note_organizations([("credly", credly.organization)])
    credly.accept_badge(credly.badges[0].id)
    return CredlyBadge.objects.get()


def test_a_sweep_repairs_what_webhooks_missed_and_may_be_repeated(credly, missed):
    assert done(credly, SWEEP) == {"states of badges": 1, "unchanged": 1}
    missed.refresh_from_db()
    assert missed.state == "accepted"
    row = ProviderOrganization.objects.get()
    assert row.swept_until == credly.events[-1].occurred_at.replace(
        microsecond=credly.events[-1].occurred_at.microsecond // 1000 * 1000
    )
    assert done(credly, SWEEP) == {"unchanged": 1}


def test_a_sweep_begins_where_the_last_one_ended(credly, missed):
    done(credly, SWEEP)
    ProviderOrganization.objects.update(swept_until=timezone.now() + dt.timedelta(hours=2))
    CredlyBadge.objects.update(state="pending", state_at=None)
    assert done(credly, SWEEP) == {}
    missed.refresh_from_db()
    assert missed.state == "pending"


def test_a_provider_that_refuses_the_filter_is_asked_for_all_events(credly, missed):
    credly.answer(status=422, body="{}", on="events")
    assert done(credly, SWEEP)["states of badges"] == 1
    assert credly.counts["events"] == 2


def test_sweeps_of_many_events_read_all_pages(credly, missed):
    for _ in range(60):
        credly.set_badge_privacy(credly.badges[0].id, public=True)
    credly.reject_badge(credly.badges[0].id)
    done(credly, SWEEP)
    missed.refresh_from_db()
    assert missed.state == "rejected"
    assert credly.counts["events"] == 2


# --- from time to time -----------------------------------------------------------------------------------------------


def test_sweeps_and_syncs_are_started_once_a_day(credly):
    now = timezone.now()
    assert schedules.start_sweeps(now=now) == 0  # it is new here: its events are read from now on
    assert [schedules.start_syncs(now=now) for _ in range(2)] == [1, 0]
    worker.work()
    later = now + dt.timedelta(hours=23)
    assert (schedules.start_sweeps(now=later), schedules.start_syncs(now=later)) == (0, 0)
    later = now + dt.timedelta(hours=25)
    assert (schedules.start_sweeps(now=later), schedules.start_syncs(now=later)) == (1, 1)
    worker.work(now=lambda: later)
    assert (schedules.start_sweeps(now=later), schedules.start_syncs(now=later)) == (0, 0)
    assert set(Run.objects.values_list("state", flat=True)) == {RunState.DONE}


@pytest.mark.parametrize("hours", [None, 0, -1, "24", True])
def test_the_settings_can_switch_them_off(credly, settings, hours):
    settings.LMS_BADGES_CONFIG["providers"] = {"sweep_hours": hours, "sync_hours": hours}
    later = timezone.now() + dt.timedelta(days=9)
    assert (schedules.start_sweeps(now=later), schedules.start_syncs(now=later)) == (0, 0)


def test_a_run_that_fails_is_not_started_again_at_once(credly, settings):
    now = timezone.now()
    settings.LMS_BADGES_CONFIG["credly"]["ORGANIZATIONS"] = {credly.organization: "wrong"}
    assert schedules.start_syncs(now=now) == 1
    worker.work()
    assert schedules.start_syncs(now=now + dt.timedelta(hours=1)) == 0
    assert schedules.start_syncs(now=now + dt.timedelta(hours=7)) == 1
