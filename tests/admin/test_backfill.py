"""What a designer relies on who gives a badge for what happened before: a plan comes first, and says who would gain."""

from __future__ import annotations

from typing import Any

import pytest
from django.urls import reverse

from badges import pipeline
from badges.models import Run, RunMode, UserCredential
from badges.runs import worker
from tests.admin.pages import LIST, change
from tests.factories import make_passing, make_template
from tests.support.learner_factories import signed_in

pytestmark = [pytest.mark.django_db(transaction=True)]

BUTTON = "Give it to those who have earned it already"


@pytest.fixture(autouse=True)
def media(settings: Any, tmp_path: Any) -> None:
    settings.MEDIA_ROOT = tmp_path / "media"


def press(client: Any, template: Any) -> Any:
    return client.post(reverse("admin:lms_badges_badgetemplate_backfill", args=[template.pk]), follow=True)


def test_the_button_leads_to_a_plan_whose_page_offers_to_apply_it(staff: Any) -> None:
    pipeline.handle([make_passing(lms_user_id=41)])
    template = make_template()
    client = signed_in(staff("view_badgetemplate", "backfill_badgetemplate", "view_run", "view_learner"))
    assert BUTTON in client.get(change(template)).content.decode()

    page = press(client, template).content.decode()

    plan = Run.objects.get()
    assert "This plan finds out who has earned the badge already." in page
    assert (plan.kind, plan.mode, plan.subject) == ("backfill", RunMode.PLAN, template.slug)
    worker.work()
    assert not UserCredential.objects.exists()
    assert (
        f"{template.slug}: would gain: 1"
        in client.get(reverse("admin:lms_badges_run_change", args=[plan.pk])).content.decode()
    )
    client.post(reverse("admin:lms_badges_run_do", args=[plan.pk, "apply"]))
    worker.work()
    assert UserCredential.objects.get().template == template


def test_who_may_not_see_learners_gets_the_numbers_and_not_the_names(staff: Any) -> None:
    template = make_template()
    press(signed_in(staff("view_badgetemplate", "backfill_badgetemplate")), template)
    worker.work()
    address = reverse("admin:lms_badges_run_result", args=[Run.objects.get().pk])
    assert signed_in(staff("view_run")).get(address).status_code == 403
    allowed = signed_in(staff("view_run", "view_learner")).get(address)
    assert b"".join(allowed.streaming_content).startswith(b"learner,lms_user_id,")


def test_who_lacks_the_permission_neither_plans_nor_applies(staff: Any) -> None:
    template = make_template()
    others = signed_in(staff("view_badgetemplate", "change_badgetemplate", "view_run", "add_run", "change_run"))
    assert BUTTON not in others.get(change(template)).content.decode()
    assert press(others, template).status_code == 403
    press(signed_in(staff("view_badgetemplate", "backfill_badgetemplate")), template)
    worker.work()
    address = reverse("admin:lms_badges_run_do", args=[Run.objects.get().pk, "apply"])
    assert others.post(address).status_code == 403
    assert 'value="backfill"' not in others.get("/admin/lms_badges/run/add/").content.decode()


def test_templates_that_give_nothing_have_no_button_and_say_why(staff: Any) -> None:
    client = signed_in(staff("view_badgetemplate", "backfill_badgetemplate"))
    for template in (make_template(is_active=False), make_template(requirements=[])):
        assert BUTTON not in client.get(change(template)).content.decode()
    assert "is not active" in press(client, make_template(is_active=False)).content.decode()
    assert not Run.objects.exists()


def test_whoever_switches_a_template_on_is_told_that_the_past_does_not_count(staff: Any) -> None:
    template = make_template(is_active=False)
    given = {"action": "activate", "_selected_action": [template.pk]}
    verbs = ("view_badgetemplate", "change_badgetemplate")
    page = signed_in(staff(*verbs, "backfill_badgetemplate")).post(LIST, given, follow=True).content.decode()
    assert f"What happened before does not count for {template.slug}." in page
    assert f'href="{change(template)}#lms-badges-backfill"' in page
    template = make_template(is_active=False)
    given["_selected_action"] = [template.pk]
    assert "What happened before" not in signed_in(staff(*verbs)).post(LIST, given, follow=True).content.decode()
