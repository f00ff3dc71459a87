"""What staff rely on who give a file: all of its mistakes at once, a plan first, and a button that takes it back."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from badges import api
from badges.models import Run, UserCredential
from badges.runs import worker
from tests.admin.pages import errors
from tests.factories import LearnerFactory, UserFactory, make_template
from tests.support.learner_factories import signed_in

pytestmark = [pytest.mark.django_db]

LIST = "/admin/lms_badges/usercredential/"
AWARD, REVOKE = f"{LIST}bulk-award/", f"{LIST}bulk-revoke/"
SEES = ("view_usercredential", "view_run")


@pytest.fixture(autouse=True)
def media(settings: Any, tmp_path: Any) -> None:
    settings.MEDIA_ROOT = tmp_path / "media"


@pytest.fixture
def giver(staff: Any) -> Any:
    return signed_in(staff(*SEES, "award_usercredential", username="fantasio"))


def send(client: Any, address: str, *rows: str, button: str = "apply", **given: Any) -> Any:
    content = "\n".join(["learner,template,reason", *rows]).encode()
    file = SimpleUploadedFile("list.csv", content)
    return client.post(address, {"file": file, "reason": "", button: "1", **given}, follow=True)


def page_of(run: Run) -> str:
    return f"/admin/lms_badges/run/{run.pk}/change/"


def test_a_file_is_awarded_and_the_page_of_its_run_shows_what_became_of_it(giver: Any) -> None:
    make_template(slug="star")
    anna = LearnerFactory(user__username="anna")
    assert AWARD in giver.get(LIST).content.decode()
    page = send(giver, AWARD, "anna,star,", "anna,star,again", reason="Season 3.")
    run = Run.objects.get()
    assert page.redirect_chain == [(page_of(run), 302)]
    assert "Rows that repeat an earlier one are left out: 3." in page.content.decode()
    worker.work()
    text = giver.get(page_of(run)).content.decode()
    assert '<progress max="2" value="2">' in text
    assert "awarded: 1, duplicate: 1" in text
    credential = UserCredential.objects.get()
    assert (credential.learner, credential.cause_person.username) == (anna, "fantasio")
    text = giver.get(f"{LIST}{credential.pk}/change/").content.decode()
    assert f"fantasio did it in the bulk run {run.pk}: Season 3." in text


def test_a_plan_awards_nothing(giver: Any) -> None:
    make_template(slug="star")
    LearnerFactory(user__username="anna")
    page = send(giver, AWARD, "anna,star,", button="plan")
    assert "1 row is looked at. Nothing is changed." in page.content.decode()
    worker.work()
    assert "would be awarded: 1" in giver.get(page_of(Run.objects.get())).content.decode()
    assert not UserCredential.objects.exists()


def test_a_plan_is_applied_from_its_page(giver: Any, staff: Any) -> None:
    make_template(slug="star")
    LearnerFactory(user__username="anna")
    UserFactory(username="berta")
    send(giver, AWARD, "anna,star,Helped.", "berta,star,", "anna,star,", reason="Season 3.", button="plan")
    worker.work()
    plan = Run.objects.get()
    apply = f"/admin/lms_badges/run/{plan.pk}/do/apply/"
    onlooker = signed_in(staff(*SEES, "change_run", "add_run"))
    assert apply not in onlooker.get(page_of(plan)).content.decode()
    assert onlooker.post(apply).status_code == 403
    assert apply in giver.get(page_of(plan)).content.decode()
    page = giver.post(apply, follow=True)
    run = Run.objects.exclude(pk=plan.pk).get()
    assert page.redirect_chain == [(page_of(run), 302)]
    worker.work()
    run.refresh_from_db()
    assert run.read_counts() == {"awarded": 2, "duplicate": 1}
    found = UserCredential.objects.order_by("learner__user__username")
    assert [each.cause_reason for each in found] == ["Helped.", "Season 3."]
    assert {each.cause_event_id for each in found} == {str(run.pk)}
    assert apply in giver.get(page_of(plan)).content.decode()  # a second time awards nobody twice
    giver.post(apply)
    worker.work()
    assert UserCredential.objects.count() == 2


def test_all_mistakes_of_a_file_are_shown_and_nothing_is_done(giver: Any) -> None:
    make_template(slug="star")
    LearnerFactory(user__username="anna")
    page = send(giver, AWARD, "anna,star,", "<b>nobody</b>,star,", "anna,moon,")
    assert [error.partition(":")[0] for error in errors(page)] == ["Row 3", "Row 4"]
    assert not Run.objects.exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "The submitted file is empty."),
        (b"x" * 6 * 1024 * 1024, "The file has 6.0 MB, and at most 5 MB are taken."),
    ],
)
def test_a_file_that_is_empty_or_too_big_is_refused(giver: Any, content: bytes, message: str) -> None:
    page = giver.post(AWARD, {"file": SimpleUploadedFile("list.csv", content), "reason": ""})
    assert message in page.content.decode()


def test_a_file_with_thousands_of_mistakes_shows_the_first_ones(giver: Any) -> None:
    page = send(giver, AWARD, *["nobody,star,"] * 2000)
    assert (len(errors(page)), errors(page)[-1]) == (101, "… and 3900 more.")


def test_the_same_file_twice_at_the_same_time_is_refused(giver: Any) -> None:
    make_template(slug="star")
    LearnerFactory(user__username="anna")
    send(giver, AWARD, "anna,star,")
    assert "is open. Wait for it, or cancel it." in send(giver, AWARD, "anna,star,").content.decode()


def test_a_revocation_asks_for_a_reason_and_says_who_can_read_it(staff: Any) -> None:
    make_template(slug="star")
    api.award(LearnerFactory(user__username="anna"), "star")
    client = signed_in(staff(*SEES, "revoke_usercredential"))
    assert "everybody who can open the public pages of the badges can read it" in client.get(REVOKE).content.decode()
    assert errors(send(client, REVOKE, "anna,star,")) == ["This field is required."]
    send(client, REVOKE, "anna,star,", public_reason="It was a mistake of ours.")
    worker.work()
    credential = UserCredential.objects.get()
    assert (credential.status, credential.public_reason, credential.blocked) == (
        "revoked",
        "It was a mistake of ours.",
        False,  # the box was not ticked
    )


@pytest.mark.parametrize(
    ("permission", "allowed"), [("award_usercredential", AWARD), ("revoke_usercredential", REVOKE), ("view_run", "")]
)
def test_each_page_needs_its_permission(staff: Any, permission: str, allowed: str) -> None:
    client = signed_in(staff("view_usercredential", permission))
    listed = client.get(LIST).content.decode()
    for address in (AWARD, REVOKE):
        assert (address in listed) is (address == allowed)
        assert client.get(address).status_code == (200 if address == allowed else 403)
        assert client.post(address).status_code == (200 if address == allowed else 403)


def test_taking_back_needs_the_permission_to_do_the_opposite(staff: Any) -> None:
    make_template(slug="star")
    LearnerFactory(user__username="anna")
    giver = signed_in(staff(*SEES, "award_usercredential", "change_run"))
    send(giver, AWARD, "anna,star,")
    worker.work()
    run = Run.objects.get()
    undo = f"/admin/lms_badges/run/{run.pk}/do/undo/"
    assert undo not in giver.get(page_of(run)).content.decode()
    assert giver.post(undo).status_code == 403
    boss = signed_in(staff(*SEES, "revoke_usercredential", "change_run"))
    assert undo in boss.get(page_of(run)).content.decode()
    page = boss.post(undo, follow=True)
    worker.work()
    undone = Run.objects.get(undoes=run)
    assert page.redirect_chain == [(page_of(undone), 302)]
    assert page_of(undone) in boss.get(page_of(run)).content.decode()
    assert UserCredential.objects.get().status == "revoked"
    assert undo not in boss.get(page_of(run)).content.decode()


def test_somebody_who_may_not_view_runs_comes_back_to_the_page(staff: Any) -> None:
    make_template(slug="star")
    UserFactory(username="anna")
    client = signed_in(staff("view_usercredential", "award_usercredential"))
    assert send(client, AWARD, "anna,star,").redirect_chain == [(AWARD, 302)]
