"""What learners rely on: one mail about each badge, one reminder, nothing that is not true, and a way to opt out."""

from __future__ import annotations

import datetime as dt
import re
import smtplib
from types import SimpleNamespace
from typing import Any

import pytest
from django.core import mail as django_mail
from django.core.mail.backends.smtp import EmailBackend
from django.test import Client
from django.utils import timezone

from badges import api, delivery
from badges.awarding.models import UserCredential
from badges.mail import channel
from badges.mail.models import CredentialMail, MailOptOut
from badges.mail.reminders import remind_due
from badges.models import Learner, OutboxMessage
from badges.outbox import circuit
from badges.outbox.models import Circuit, CircuitReason
from tests.factories import LearnerFactory, UserCredentialFactory, UserFactory, make_template
from tests.support.failing_updates import fail_once
from tests.support.smtp_server import SmtpServer
from tests.support.statement_counts import counted_statements
from tests.support.threads import outcomes_at_once

pytestmark = [pytest.mark.tables, pytest.mark.django_db(transaction=True)]

DAY = dt.timedelta(days=1)
HOST = "https://credentials.test"


@pytest.fixture(autouse=True)
def wanted(settings: Any) -> dict[str, Any]:
    """Switch the mails on; return the settings."""
    settings.LMS_BADGES_CONFIG = {"public_url": f"{HOST}/", "mail": {"awards": True, "reminder_days": 14}}
    return settings.LMS_BADGES_CONFIG


def learner(**given: Any) -> Learner:
    return LearnerFactory(user=UserFactory(**{"email": "spirou@palombia.test", **given}))


def award(who: Learner | None = None, **given: Any) -> UserCredential:
    template = make_template(**{"slug": "first-aid", "name": "First aid", **given})
    return api.award(who or learner(), template.slug)


def deliver(*, days_later: float = 0) -> None:
    delivery.drain(now=timezone.now() + days_later * DAY)


def undelivered() -> list[tuple[str, str]]:
    return list(
        OutboxMessage.objects.filter(channel="mail").exclude(state="delivered").values_list("state", "last_error")
    )


def content(email: Any, kind: str = "plain") -> str:
    return " ".join(email.get_body((kind,)).get_content().split())


def opt_out_path(email: Any) -> str:
    found = re.fullmatch(rf"<{HOST}(/badges/mail/[^/]+/)>", email["List-Unsubscribe"].strip())
    assert found
    return found[1]


def ends_in(days: float, **given: Any) -> UserCredential:
    """Return a credential that was awarded a year ago and ends in so many days."""
    now = timezone.now()
    return UserCredentialFactory(
        **{"learner": learner(), "awarded_at": now - 365 * DAY, "valid_until": now + days * DAY, **given}
    )


# --- awards ----------------------------------------------------------------------------------------------------------


def test_a_learner_is_told_of_a_badge_and_when_it_ends(smtp_server: SmtpServer) -> None:
    credential = award(expiry={"each_year": "12-31"})
    deliver()
    (email,) = smtp_server.emails
    assert (email["To"], email["From"]) == ("spirou@palombia.test", "Badges <badges@credentials.test>")
    assert email["Subject"] == "You have earned the badge First aid"
    assert email["Auto-Submitted"] == "auto-generated"
    day = f"Dec. 31, {timezone.localtime().year}"
    for kind in ("plain", "html"):
        body = content(email, kind)
        assert "you have earned the badge “First aid”" in body
        assert f"{HOST}/badges/" in body
        assert HOST + opt_out_path(email) in body
        assert day in body
    assert CredentialMail.objects.get(credential=credential, kind="award").sent_at is not None


def test_without_the_setting_nobody_gets_mail_and_nothing_is_written(settings: Any, smtp_server: SmtpServer) -> None:
    settings.LMS_BADGES_CONFIG = {"public_url": HOST}
    award()
    ends_in(3)
    assert remind_due(now=timezone.now()) == 0
    deliver()
    assert smtp_server.emails == []
    assert not OutboxMessage.objects.filter(channel="mail").exists()


def test_delivering_again_sends_nothing_again(smtp_server: SmtpServer) -> None:
    award()
    deliver()
    OutboxMessage.objects.update(state="pending", due_at=timezone.now(), finished_at=None)
    deliver()
    assert len(smtp_server.emails) == 1


def test_the_row_of_the_outbox_holds_ids_only() -> None:
    credential = award()
    row = OutboxMessage.objects.get(channel="mail")
    assert (row.key, row.type, row.read()) == (str(credential.learner_id), "award", {"credential": str(credential.pk)})


def revoke(credential: UserCredential) -> None:
    api.revoke(credential.learner, "first-aid")


def take_address(credential: UserCredential) -> None:
    type(credential.learner.user).objects.update(email="")


def deactivate(credential: UserCredential) -> None:
    type(credential.learner.user).objects.update(is_active=False)


def retire(credential: UserCredential) -> None:
    api.retire(credential.learner)


def delete_account(credential: UserCredential) -> None:
    credential.learner.user.delete()


def end(credential: UserCredential) -> None:
    UserCredential.objects.update(valid_until=timezone.now() - DAY)


def opt_out(credential: UserCredential) -> None:
    MailOptOut.objects.create(learner=credential.learner, created_at=timezone.now())


@pytest.mark.parametrize("what", [revoke, take_address, deactivate, retire, delete_account, end, opt_out])
def test_what_is_not_true_any_more_is_not_sent_and_is_no_error(smtp_server: SmtpServer, what: Any) -> None:
    what(award())
    deliver()
    assert smtp_server.emails == []
    assert undelivered() == []


def test_mail_that_was_switched_off_meanwhile_is_not_sent(wanted: Any, smtp_server: SmtpServer) -> None:
    award()
    wanted["mail"]["awards"] = False
    deliver()
    assert smtp_server.emails == []
    assert undelivered() == []


def test_without_a_public_address_mail_waits_and_says_what_to_do(wanted: Any, smtp_server: SmtpServer) -> None:
    wanted["public_url"] = ""
    award()
    deliver()
    ((state, error),) = undelivered()
    assert (state, "LMS_BADGES_CONFIG['public_url'] is not set" in error) == ("pending", True)
    wanted["public_url"] = HOST
    deliver(days_later=1)
    assert len(smtp_server.emails) == 1


def test_a_mail_server_that_is_down_delays_the_mail(smtp_server: SmtpServer) -> None:
    smtp_server.close()
    award()
    deliver()
    ((state, error),) = undelivered()
    assert state == "pending"
    assert "cannot be reached" in error
    assert "palombia" not in error
    smtp_server.open()
    deliver(days_later=1)
    assert len(smtp_server.emails) == 1


def test_a_mail_whose_answer_was_lost_keeps_its_message_id(smtp_server: SmtpServer) -> None:
    smtp_server.drop(taken=False)
    award()
    deliver()
    assert smtp_server.emails == []
    assert not CredentialMail.objects.filter(sent_at__isnull=False).exists()
    deliver(days_later=1)
    (email,) = smtp_server.emails
    assert email["Message-ID"] == f"<{OutboxMessage.objects.get(channel='mail').id}@credentials.test>"


def test_a_mail_that_was_not_sent_is_sent_again_although_the_database_failed(
    smtp_server: SmtpServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    smtp_server.drop(taken=False)
    fail_once(monkeypatch, CredentialMail, {"sent_at": None})
    award()
    deliver()
    assert smtp_server.emails == []
    deliver(days_later=1)
    assert len(smtp_server.emails) == 1


def test_an_address_that_the_server_refuses_is_a_dead_letter_with_the_remedy(smtp_server: SmtpServer) -> None:
    smtp_server.refuse(550, at="RCPT")
    award()
    deliver()
    assert undelivered() == [
        ("dead", "The mail server refuses the learner's address (550). Correct it in the account.")
    ]


def test_a_sender_that_the_server_refuses_is_one_problem_and_costs_no_mail(smtp_server: SmtpServer) -> None:
    smtp_server.refuse(550, at="MAIL")
    award()
    award()
    deliver()
    assert {state for state, _ in undelivered()} == {"pending"}
    assert not OutboxMessage.objects.filter(channel="mail", attempts__gt=0).exists()
    problem = "The mail server refuses the sender (550). Check LMS_BADGES_CONFIG['mail']['sender'], EMAIL_HOST_USER"
    assert [(name, message.startswith(problem)) for name, message in circuit.problems()] == [("smtp", True)]
    deliver(days_later=1)
    deliver(days_later=2)
    assert (len(smtp_server.emails), circuit.problems()) == (2, [])


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (smtplib.SMTPAuthenticationError(535, b"no"), CircuitReason.PROBLEM),
        (smtplib.SMTPAuthenticationError(454, b"later"), CircuitReason.OUTAGE),
        (smtplib.SMTPConnectError(554, b"no"), CircuitReason.OUTAGE),
        (smtplib.SMTPHeloError(550, b"no"), CircuitReason.OUTAGE),
    ],
)
def test_what_goes_wrong_with_every_mail_costs_no_attempt_and_stops_all_mail(
    smtp_server: SmtpServer, monkeypatch: pytest.MonkeyPatch, settings: Any, error: Exception, reason: str
) -> None:
    def fail(backend: Any) -> None:
        raise error

    settings.LMS_BADGES_CONFIG = {**settings.LMS_BADGES_CONFIG, "delivery": {"circuit_failures": 1}}
    award()
    award()
    with monkeypatch.context() as patched:
        patched.setattr(EmailBackend, "open", fail)
        deliver()
    assert {state for state, _ in undelivered()} == {"pending"}
    assert not OutboxMessage.objects.filter(channel="mail", attempts__gt=0).exists()
    assert Circuit.objects.get(name="smtp").reason == reason
    deliver(days_later=1)
    deliver(days_later=2)
    assert len(smtp_server.emails) == 2


def test_other_mail_backends_work_too(settings: Any) -> None:
    settings.EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
    award()
    deliver()
    assert len(django_mail.outbox) == 1
    assert CredentialMail.objects.get().sent_at is not None


def test_names_of_badges_are_escaped_in_html_and_stay_on_one_line_of_the_subject(smtp_server: SmtpServer) -> None:
    award(name="<b>Größte\n鬆餅</b> & Co")
    deliver()
    (email,) = smtp_server.emails
    assert email["Subject"].strip() == "You have earned the badge <b>Größte 鬆餅</b> & Co"
    assert "“&lt;b&gt;Größte 鬆餅&lt;/b&gt; &amp; Co”" in content(email, "html")
    assert "<b>Größte 鬆餅</b> & Co" in content(email)


def test_a_mail_is_in_the_language_of_the_learner(wanted: Any, smtp_server: SmtpServer, monkeypatch: Any) -> None:
    wanted["mail"]["language_attribute"] = "profile.language"
    monkeypatch.setattr(type(learner().user), "profile", SimpleNamespace(language="de"), raising=False)
    award(expiry={"each_year": "12-31"})
    deliver()
    (email,) = smtp_server.emails
    assert email["Subject"].strip() == "Sie haben das Badge First aid erworben"
    assert re.search(r"Es gilt bis 31\. Dezember 20\d\d\.", content(email))
    assert '<html lang="de" dir="ltr">' in content(email, "html")


def test_an_unknown_attribute_of_the_language_is_no_error(wanted: Any, smtp_server: SmtpServer) -> None:
    wanted["mail"]["language_attribute"] = "no.such.thing"
    award()
    deliver()
    assert len(smtp_server.emails) == 1


def test_a_kind_that_nobody_knows_is_a_dead_letter() -> None:
    award()
    OutboxMessage.objects.filter(channel="mail").update(type="gossip")
    deliver()
    ((state, error),) = undelivered()
    assert (state, error.startswith("There is no mail about 'gossip'")) == ("dead", True)


# --- reminders -------------------------------------------------------------------------------------------------------


def test_a_learner_is_reminded_once_before_the_end(smtp_server: SmtpServer) -> None:
    ends_in(13.5)
    now = timezone.now()
    assert [remind_due(now=now), remind_due(now=now + DAY)] == [1, 0]
    deliver()
    (email,) = smtp_server.emails
    assert re.fullmatch(r"Your badge Marsupilami \d+ ends soon", email["Subject"])
    assert "You can earn it again." in content(email)
    assert remind_due(now=now + 2 * DAY) == 0


@pytest.mark.parametrize(
    "given",
    [
        {"valid_until": None},
        {"valid_until": timezone.now() + 15 * DAY},  # later
        {"valid_until": timezone.now() - DAY},  # at its end already
        {"awarded_at": timezone.now()},  # today
    ],
)
def test_nobody_is_reminded_of_other_badges(given: dict[str, Any]) -> None:
    ends_in(3, **given)
    assert remind_due(now=timezone.now()) == 0


@pytest.mark.parametrize("given", [{"award_once": True}, {"is_active": False}, {"requirements": []}])
def test_a_badge_that_cannot_be_earned_again_does_not_say_so(smtp_server: SmtpServer, given: dict[str, Any]) -> None:
    ends_in(3, template=make_template(**given))
    remind_due(now=timezone.now())
    deliver()
    assert "again" not in content(smtp_server.emails[0])


@pytest.mark.parametrize("days", [0, None, -3, True, "14", float("nan")])
def test_a_number_of_days_that_is_none_reminds_nobody(wanted: Any, days: Any) -> None:
    wanted["mail"]["reminder_days"] = days
    ends_in(0.5)
    assert remind_due(now=timezone.now()) == 0


def test_of_parallel_sweeps_each_learner_is_reminded_once() -> None:
    for _ in range(12):
        ends_in(3, learner=LearnerFactory())
    outcomes = outcomes_at_once([lambda: remind_due(now=timezone.now(), limit=5)] * 6)
    assert not [each for each in outcomes if isinstance(each, Exception)]
    while remind_due(now=timezone.now(), limit=5):
        pass
    assert OutboxMessage.objects.filter(channel="mail").count() == 12


def test_reminders_cost_the_same_for_any_number() -> None:
    costs = []
    for number in (1, 30):
        for _ in range(number):
            ends_in(3, learner=LearnerFactory())
        with counted_statements() as statements:
            assert remind_due(now=timezone.now()) == number
        costs.append(len(statements))
    assert costs[0] == costs[1] <= 9


# --- opting out ------------------------------------------------------------------------------------------------------


@pytest.fixture
def path(smtp_server: SmtpServer) -> str:
    """Return the path that a mail links to."""
    award()
    deliver()
    return opt_out_path(smtp_server.emails.pop())


def test_opening_the_link_changes_nothing_and_the_button_opts_out(path: str, smtp_server: SmtpServer) -> None:
    client = Client(enforce_csrf_checks=True)
    page = client.get(path)
    assert (page.status_code, "Get no more mails" in page.content.decode()) == (200, True)
    assert not MailOptOut.objects.exists()
    assert "You get no mails about your badges." in client.post(path).content.decode()
    assert client.post(path).status_code == 200  # pressed twice
    assert MailOptOut.objects.count() == 1
    award(Learner.objects.get(), slug="second-aid")
    deliver()
    assert smtp_server.emails == []
    client.post(path, {"again": "yes"})
    assert not MailOptOut.objects.exists()


def test_staff_see_who_has_opted_out(path: str, admin_client: Client) -> None:
    page = f"/admin/lms_badges/learner/{Learner.objects.get().pk}/change/"
    assert "Not opted out." in admin_client.get(page).content.decode()
    Client().post(path)
    assert "The learner has opted out." in admin_client.get(page).content.decode()


def test_a_mail_program_opts_out_with_one_click(path: str) -> None:
    sent = "List-Unsubscribe=One-Click"
    page = Client(enforce_csrf_checks=True).post(path, sent, content_type="application/x-www-form-urlencoded")
    assert page.status_code == 200
    assert MailOptOut.objects.count() == 1


def test_every_mail_says_how_programs_opt_out(smtp_server: SmtpServer) -> None:
    ends_in(3)
    remind_due(now=timezone.now())
    deliver()
    assert smtp_server.emails[0]["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"


@pytest.mark.parametrize("change", [lambda token: token[:-1], lambda token: "x" + token, lambda token: "", str.upper])
def test_a_link_that_this_host_did_not_make_opts_nobody_out(path: str, change: Any) -> None:
    token = path.split("/")[3]
    for ask in (Client().get, Client().post):
        assert ask(f"/badges/mail/{change(token)}/").status_code == 404
    assert not MailOptOut.objects.exists()


def test_retiring_a_person_removes_the_choice_and_an_old_link_writes_none(path: str) -> None:
    Client().post(path)
    done = api.retire(Learner.objects.get())
    assert done.counts["lms_badges"]["mail settings"] == 1
    assert not MailOptOut.objects.exists()
    assert Client().post(path).status_code == 200
    assert not MailOptOut.objects.exists()


def test_the_page_is_not_stored(path: str) -> None:
    response = Client().get(path)
    assert "no-store" in response["Cache-Control"]
    assert response["Referrer-Policy"] == "no-referrer"


def test_the_channel_has_the_circuit_of_the_mail_server() -> None:
    assert channel.channel.circuit(OutboxMessage()) == "smtp"
