"""The command that syncs templates, the one that makes webhook addresses, and what runs without anybody asking."""

from __future__ import annotations

import datetime as dt
from io import StringIO
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.core.management import CommandError, call_command
from django.test import Client
from django.utils import timezone

from badges import tasks
from badges.issuers.credly.models import CredlyOrganization
from badges.issuers.run_kinds import SWEEP, SYNC
from badges.models import BadgeTemplate, ProviderOrganization, Run
from badges.testing.credly import CredlyStandIn

pytestmark = pytest.mark.django_db(transaction=True)
NOBODY = "5d1f0a36-4a3c-4f1a-8c39-0f3a1c0b7e11"


@pytest.fixture
def credly(settings: Any) -> Any:
    with CredlyStandIn() as stand_in:
        settings.LMS_BADGES_CONFIG = {
            "credly": {
                "CREDLY_API_BASE_URL": stand_in.url,
                "ORGANIZATIONS": {stand_in.organization: stand_in.token},
                "timeout": 1,
            }
        }
        yield stand_in


def call(name: str, *args: str, **options: Any) -> tuple[str, str]:
    out, err = StringIO(), StringIO()
    call_command(name, *args, stdout=out, stderr=err, **options)
    return out.getvalue(), err.getvalue()


def test_all_organizations_are_synced_and_each_is_reported(credly):
    other = credly.add_organization(name="Entered in the admin")
    row = CredlyOrganization(uuid=other.id)
    row.token = other.token
    row.save()
    credly.add_template(name="First")
    credly.add_template(name="Second", organization=other.id)
    out, _err = call("sync_badge_templates")
    assert f"credly {credly.organization}: taken over: 1." in out
    assert f"credly {other.id}: taken over: 1." in out
    assert set(BadgeTemplate.objects.values_list("name", "is_active")) == {("First", False), ("Second", False)}


def test_one_organization_can_be_asked_for_and_planned(credly):
    credly.add_template(name="Only there")
    out, _err = call("sync_badge_templates", provider="credly", organization=credly.organization.upper(), plan=True)
    assert "would be taken over: 1" in out
    assert "Nothing was changed" in out
    assert not BadgeTemplate.objects.exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"provider": "nobody"}, "Installed: "),
        ({"organization": NOBODY}, "no organization"),
        ({"organization": "x"}, "no organization"),
    ],
)
def test_what_does_not_exist_is_named(credly, options, message):
    with pytest.raises(CommandError, match=message):
        call("sync_badge_templates", **options)


def test_one_organization_that_fails_does_not_stop_the_others(credly, settings):
    credly.add_template(name="Fine")
    settings.LMS_BADGES_CONFIG["credly"]["ORGANIZATIONS"] = {NOBODY: "wrong", credly.organization: credly.token}
    err = StringIO()
    with pytest.raises(CommandError, match="1 of 2"):
        call_command("sync_badge_templates", stdout=StringIO(), stderr=err)
    assert f"credly {NOBODY}: " in err.getvalue()
    assert "not accepted" in err.getvalue()
    assert BadgeTemplate.objects.count() == 1


def test_the_address_of_a_webhook_is_made_by_a_command(credly, settings):
    settings.LMS_BADGES_CONFIG["public_url"] = "https://credentials.example.org"
    out, _err = call("badges_webhook", "credly", credly.organization)
    address = out.strip().removeprefix("https://credentials.example.org")
    body = {"id": NOBODY, "organization_id": credly.organization}
    assert Client().post(address, body, content_type="application/json").status_code == 200
    with pytest.raises(CommandError, match="no organization"):
        call("badges_webhook", "credly", NOBODY)


def test_the_drain_sweeps_once_a_day(credly):
    call("badges_drain")
    assert not Run.objects.exists()  # seen for the first time: events are read from now on
    ProviderOrganization.objects.update(swept_at=timezone.now() - dt.timedelta(days=2))
    call("badges_drain")
    call("badges_drain")
    assert list(Run.objects.values_list("kind", "state")) == [(SWEEP, "done")]
    assert credly.counts["events"] == 1


def test_beat_sweeps_and_syncs(credly):
    entries = {entry["task"] for entry in django_settings.CELERY_BEAT_SCHEDULE.values()}
    assert {"badges.sweep_providers", "badges.sync_templates"} <= entries
    tasks.sync_templates()
    tasks.sweep_providers()
    assert list(Run.objects.values_list("kind", flat=True)) == [SYNC]
    ProviderOrganization.objects.update(swept_at=timezone.now() - dt.timedelta(days=2))
    tasks.sweep_providers()
    assert set(Run.objects.values_list("kind", flat=True)) == {SYNC, SWEEP}
