"""E-mail: one for each document, over a real SMTP server that refuses, delays and drops."""

from __future__ import annotations

import datetime as dt
import threading
from typing import Any

import pytest
from django.core import mail as django_mail

from badges import delivery
from badges.intake.models import Learner
from badges.outbox.models import Circuit, OutboxMessage, OutboxState
from credentials_config.issuing import documents, lifecycle
from credentials_config.models import Credential
from credentials_config.testing.lms import LmsStandIn
from tests.factories import ALGEBRA
from tests.support.certificates import DAY, NOW, add_algebra, configure_certificate, deliver, issue, make, waiting
from tests.support.failing_updates import fail_once
from tests.support.smtp_server import SmtpServer

pytestmark = [pytest.mark.tables, pytest.mark.django_db(transaction=True)]

SOON = dt.timedelta(minutes=10)


def states() -> dict[str, int]:
    found: dict[str, int] = {}
    for state in OutboxMessage.objects.filter(channel="credential-mail").values_list("state", flat=True):
        found[state] = found.get(state, 0) + 1
    return found


def later(times: int = 1) -> dt.datetime:
    return OutboxMessage.objects.latest("created_at").created_at + times * SOON


def test_each_learner_gets_one_mail_with_the_link_to_the_document(lms: LmsStandIn, smtp_server: SmtpServer) -> None:
    add_algebra(lms, finished=3, unfinished=1)
    issue(configure_certificate())
    deliver()
    assert sorted(email["To"] for email in smtp_server.emails) == [
        "done-1@example.com",
        "done-2@example.com",
        "done-3@example.com",
    ]
    email = next(one for one in smtp_server.emails if one["To"] == "done-2@example.com")
    credential = Credential.objects.get(learner__lms_user_id=lms.learners["done-2"].id)
    assert email["Subject"] == "Your credential for Algebra for squirrels is ready"
    assert email["From"] == "Certificates <certificates@credentials.test>"
    assert email["Auto-Submitted"] == "auto-generated"
    plain, html = (email.get_body((kind,)).get_content() for kind in ("plain", "html"))
    link = documents.link(credential.document, credential.verification_code)
    for body in (plain, html):
        assert link in body
        assert documents.verify_url(credential.verification_code) in body
    assert "Hello Learner Number 2," in plain


def test_delivering_again_sends_nothing_again(lms: LmsStandIn, smtp_server: SmtpServer) -> None:
    add_algebra(lms, finished=2, unfinished=0)
    issue(configure_certificate())
    deliver()
    OutboxMessage.objects.update(state=OutboxState.PENDING, due_at=NOW, finished_at=None)
    deliver()
    assert len(smtp_server.emails) == 2


def test_names_are_escaped_in_html_and_left_alone_in_text(lms: LmsStandIn, smtp_server: SmtpServer) -> None:
    lms.add_course(ALGEBRA, name="Algebra\n<script>alert(1)</script>")
    lms.add_learner("spirou", name="Spirou & <b>Fantasio</b>")
    lms.enroll(ALGEBRA, "spirou")
    lms.complete(ALGEBRA, "spirou", 1.0)
    issue(configure_certificate())
    deliver()
    (email,) = smtp_server.emails
    assert "Spirou & <b>Fantasio</b>" in email.get_body(("plain",)).get_content()
    html = email.get_body(("html",)).get_content()
    assert "Spirou &amp; &lt;b&gt;Fantasio&lt;/b&gt;" in html
    assert "<script>" not in html
    assert email["Subject"] == "Your credential for Algebra <script>alert(1)</script> is ready"


def test_a_mail_is_written_in_the_learners_language(lms: LmsStandIn, smtp_server: SmtpServer) -> None:
    lms.add_course(ALGEBRA, name="Algebra")
    lms.add_learner("sahib", language="ar")
    lms.enroll(ALGEBRA, "sahib")
    lms.complete(ALGEBRA, "sahib", 1.0)
    issue(configure_certificate())
    deliver()
    html = smtp_server.emails[0].get_body(("html",)).get_content()
    assert '<html lang="ar" dir="rtl">' in html
    assert "14 مارس، 2026" in html
    assert smtp_server.emails[0]["Subject"] == "شهادتك عن Algebra جاهزة"
    assert "افتح شهادتك" in html


def test_a_mail_in_a_language_without_translation_is_english_and_says_so(
    lms: LmsStandIn, smtp_server: SmtpServer
) -> None:
    lms.add_course(ALGEBRA, name="Algebra")
    lms.add_learner("moshe", language="he")
    lms.enroll(ALGEBRA, "moshe")
    lms.complete(ALGEBRA, "moshe", 1.0)
    issue(configure_certificate())
    deliver()
    assert '<html lang="en" dir="ltr">' in smtp_server.emails[0].get_body(("html",)).get_content()


def test_a_line_that_begins_with_a_dot_arrives_as_it_is(lms: LmsStandIn, smtp_server: SmtpServer) -> None:
    lms.add_course(ALGEBRA, name="Algebra")
    lms.add_learner("dotty", name=".\r\n.hidden")
    lms.enroll(ALGEBRA, "dotty")
    lms.complete(ALGEBRA, "dotty", 1.0)
    issue(configure_certificate())
    deliver()
    assert "Hello . .hidden," in smtp_server.emails[0].get_body(("plain",)).get_content()


@pytest.mark.parametrize("at", ["RCPT", "DATA"])
def test_a_server_that_refuses_for_now_gets_the_mail_later(lms: LmsStandIn, smtp_server: SmtpServer, at: str) -> None:
    add_algebra(lms, finished=1, unfinished=0)
    issue(configure_certificate())
    smtp_server.refuse(451, at=at)
    deliver()
    assert (smtp_server.emails, states()) == ([], {"pending": 1})
    deliver(now=later())
    assert (len(smtp_server.emails), states()) == (1, {"delivered": 1})


@pytest.mark.parametrize("at", ["RCPT", "DATA"])
def test_a_server_that_refuses_for_good_leaves_a_dead_letter_that_can_be_retried(
    lms: LmsStandIn, smtp_server: SmtpServer, at: str
) -> None:
    add_algebra(lms, finished=1, unfinished=0)
    issue(configure_certificate())
    smtp_server.refuse(550, at=at)
    deliver()
    assert states() == {"dead": 1}
    dead = OutboxMessage.objects.get(channel="credential-mail")
    assert "550" in dead.last_error
    assert "done-1" not in dead.last_error, "an address is personal data"
    delivery.requeue(OutboxMessage.objects.all())
    deliver()
    assert len(smtp_server.emails) == 1


def test_a_mail_that_was_not_sent_is_sent_again_although_the_database_failed(
    lms: LmsStandIn, smtp_server: SmtpServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_algebra(lms, finished=1, unfinished=0)
    issue(configure_certificate())
    smtp_server.drop(taken=False)
    fail_once(monkeypatch, Credential, {"mailed": 0})
    deliver()
    assert smtp_server.emails == []
    deliver(now=later())
    assert len(smtp_server.emails) == 1


def test_a_mail_server_that_is_down_costs_no_mail_and_no_document(lms: LmsStandIn, smtp_server: SmtpServer) -> None:
    add_algebra(lms, finished=3, unfinished=0)
    smtp_server.close()
    issue(configure_certificate())
    deliver()
    assert set(Credential.objects.values_list("status", flat=True)) == {"available"}
    assert states() == {"pending": 3}
    assert Circuit.objects.filter(name="smtp", failures__gt=0).exists()
    smtp_server.open()
    for times in range(1, 4):
        deliver(now=later(times))
    assert sorted(email["To"] for email in smtp_server.emails) == [f"done-{number}@example.com" for number in (1, 2, 3)]


def test_after_a_connection_that_breaks_before_the_answer_the_mail_is_sent_again_with_the_same_message_id(
    lms: LmsStandIn, smtp_server: SmtpServer
) -> None:
    add_algebra(lms, finished=1, unfinished=0)
    issue(configure_certificate())
    smtp_server.drop(taken=True)
    deliver()
    deliver(now=later())
    assert states() == {"delivered": 1}
    first, second = smtp_server.emails
    assert first["Message-ID"] == second["Message-ID"]
    assert first["Message-ID"].endswith("@credentials.test>")


def test_a_server_that_dropped_the_mail_gets_it_again(lms: LmsStandIn, smtp_server: SmtpServer) -> None:
    add_algebra(lms, finished=1, unfinished=0)
    issue(configure_certificate())
    smtp_server.drop(taken=False)
    deliver()
    assert smtp_server.emails == []
    deliver(now=later())
    assert len(smtp_server.emails) == 1


def test_a_server_that_is_slower_than_the_time_limit_counts_as_silent(
    lms: LmsStandIn, smtp_server: SmtpServer, settings: Any
) -> None:
    settings.CREDENTIALS_CONFIG = {**settings.CREDENTIALS_CONFIG, "mail": {"timeout": 0.5}}
    add_algebra(lms, finished=1, unfinished=0)
    issue(configure_certificate())
    smtp_server.delay(2)
    deliver()
    assert states() == {"pending": 1}
    assert Credential.objects.get().mailed == 0


def test_two_workers_with_the_same_message_send_one_mail(lms: LmsStandIn, smtp_server: SmtpServer) -> None:
    """The lease of one ended too early: both have the row, and both come to the last line."""
    from django.db import connection  # noqa: PLC0415

    from credentials_config.issuing import mail  # noqa: PLC0415

    add_algebra(lms, finished=1, unfinished=0)
    issue(configure_certificate())
    message = OutboxMessage.objects.get(channel="credential-mail")
    barrier = threading.Barrier(2)
    outcomes: list[str] = []

    def work() -> None:
        try:
            barrier.wait()
            mail.channel(message)
            outcomes.append("told")
        except Exception as error:
            outcomes.append(type(error).__name__)
        finally:
            connection.close()

    workers = [threading.Thread(target=work) for _ in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert len(smtp_server.emails) == 1, outcomes
    mail.channel(message)  # whoever was beaten tries again, and sees that it is done
    assert len(smtp_server.emails) == 1


def test_a_learner_without_an_address_or_an_active_account_is_not_written_to(
    lms: LmsStandIn, smtp_server: SmtpServer
) -> None:
    add_algebra(lms, finished=3, unfinished=0)
    issue(configure_certificate())
    ids = {name: lms.learners[name].id for name in ("done-1", "done-2")}
    for name, changes in (("done-1", {"email": ""}), ("done-2", {"is_active": False})):
        learner = Learner.objects.get(lms_user_id=ids[name])
        assert learner.user is not None
        for field, value in changes.items():
            setattr(learner.user, field, value)
        learner.user.save()
    deliver()
    assert [email["To"] for email in smtp_server.emails] == ["done-3@example.com"]
    assert states() == {"delivered": 3}


@pytest.mark.parametrize("address", ["no address", "spirou@", "a@b\r\nBcc: everyone@example.org"])
def test_an_address_that_is_none_is_a_dead_letter_and_no_crash(
    lms: LmsStandIn, smtp_server: SmtpServer, address: str
) -> None:
    add_algebra(lms, finished=1, unfinished=0)
    issue(configure_certificate())
    learner = Learner.objects.get()
    assert learner.user is not None
    learner.user.email = address
    learner.user.save()
    deliver()
    assert (smtp_server.emails, states()) == ([], {"dead": 1})


def test_a_credential_invalidated_before_its_mail_is_not_announced(lms: LmsStandIn, smtp_server: SmtpServer) -> None:
    add_algebra(lms, finished=1, unfinished=0)
    issue(configure_certificate())
    lifecycle.invalidate(Credential.objects.all(), public_reason="It was a rehearsal.")
    deliver()
    assert smtp_server.emails == []


def test_a_mail_that_nobody_needs_tells_nothing_about_the_mail_server(lms: LmsStandIn, smtp_server: SmtpServer) -> None:
    add_algebra(lms, finished=1, unfinished=0)
    issue(configure_certificate())
    lifecycle.invalidate(Credential.objects.all(), public_reason="It was a rehearsal.")
    Circuit.objects.create(name="smtp", failures=3)
    deliver()
    assert Circuit.objects.get().failures == 3


def test_a_reissued_document_is_announced_once_and_quietly_not_at_all(lms: LmsStandIn, smtp_server: SmtpServer) -> None:
    add_algebra(lms, finished=1, unfinished=0)
    issue(configure_certificate())
    deliver()
    lifecycle.reissue(Credential.objects.all(), now=NOW + DAY)
    make(now=NOW + DAY)
    deliver()
    deliver(now=later())
    assert len(smtp_server.emails) == 2
    assert smtp_server.emails[0]["Message-ID"] != smtp_server.emails[1]["Message-ID"]
    lifecycle.reissue(Credential.objects.all(), mail=False, now=NOW + 2 * DAY)
    make(now=NOW + 2 * DAY)
    deliver()
    assert len(smtp_server.emails) == 2


def test_a_document_that_is_replaced_before_its_mail_went_out_is_announced_once(
    lms: LmsStandIn, smtp_server: SmtpServer
) -> None:
    add_algebra(lms, finished=1, unfinished=0)
    issue(configure_certificate())
    lifecycle.reissue(Credential.objects.all(), now=NOW + DAY)
    make(now=NOW + DAY)
    assert len(waiting("credential-mail")) == 2
    deliver()
    deliver(now=later())
    assert len(smtp_server.emails) == 1
    assert states() == {"delivered": 2}


def test_mail_can_be_switched_off(lms: LmsStandIn, settings: Any) -> None:
    settings.CREDENTIALS_CONFIG = {**settings.CREDENTIALS_CONFIG, "mail": {"enabled": False}}
    add_algebra(lms, finished=1, unfinished=0)
    issue(configure_certificate())
    assert waiting("credential-mail") == []


def test_other_backends_are_used_as_they_are(lms: LmsStandIn, settings: Any) -> None:
    settings.EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
    add_algebra(lms, finished=2, unfinished=0)
    issue(configure_certificate())
    deliver()
    OutboxMessage.objects.update(state=OutboxState.PENDING, due_at=NOW, finished_at=None)
    deliver()
    assert len(django_mail.outbox) == 2
