"""What holds for every provider: a badge is issued once, and one that was taken back is valid nowhere."""

from __future__ import annotations

import datetime as dt
import json
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.db import connection
from django.forms.models import model_to_dict

from badges.awarding.models import UserCredential
from badges.catalog.models import TemplateIssuer
from badges.common.http import HttpApi, NoAnswer
from badges.exceptions import Permanent, Retryable, SharedProblem, Waiting
from badges.intake.models import Learner
from badges.outbox.channels import HandlerResult
from tests.factories import REVOKED
from tests.support.providers import TestedProvider

pytestmark = [pytest.mark.django_db, pytest.mark.tables]

HTML = "<html><body>It works!</body></html>"


@pytest.fixture
def credential(provider: TestedProvider, award: Callable[..., UserCredential]) -> UserCredential:
    return award(provider=provider.slug, organization=provider.organization, external_template=provider.add_template())


def test_a_badge_is_issued_once_to_the_learner(provider: TestedProvider, credential: UserCredential) -> None:
    provider.issuer.issue(credential.id)
    provider.issuer.issue(credential.id)
    (badge,) = provider.all_badges()
    row = provider.row(credential)
    assert provider.external_id(row) == badge
    assert (row.organization, row.issued_at) == (provider.organization, credential.awarded_at)
    assert row.url.startswith("https://")
    assert provider.emails() == ["ada@example.com"]
    known = provider.issuer.issued([credential.id])[credential.id]
    assert (known.provider, known.external_id, known.state) == (provider.slug, badge, row.state)


def test_an_issued_badge_is_revoked(provider: TestedProvider, credential: UserCredential) -> None:
    provider.issuer.issue(credential.id)
    provider.issuer.revoke(credential.id, "Awarded by mistake.")
    assert provider.issuer.revoke(credential.id, "") is HandlerResult.NOTHING_TO_DO
    assert (provider.valid_badges(), provider.row(credential).state) == ([], "revoked")
    assert provider.standin.counts[provider.revocation] == 1


@pytest.mark.parametrize("verb", ["revoke", "issue"])
def test_with_a_wrong_api_address_badges_wait_and_nothing_is_written(
    provider: TestedProvider, credential: UserCredential, settings: Any, verb: str
) -> None:
    if verb == "revoke":
        provider.issuer.issue(credential.id)
    before = model_to_dict(provider.row(credential))
    setting = f"{provider.slug.upper()}_API_BASE_URL"
    settings.LMS_BADGES_CONFIG[provider.slug][setting] = provider.standin.url.replace("/v1", "/mistyped")
    reason = ("",) if verb == "revoke" else ()
    with pytest.raises(SharedProblem, match="the API address in"):
        getattr(provider.issuer, verb)(credential.id, *reason)
    assert model_to_dict(provider.row(credential)) == before


def test_revoking_what_was_never_issued_asks_nobody(provider: TestedProvider, credential: UserCredential) -> None:
    assert provider.issuer.revoke(credential.id, "") is HandlerResult.NOTHING_TO_DO
    assert provider.standin.counts == {}


def test_what_was_revoked_before_it_was_issued_is_not_issued(
    provider: TestedProvider, credential: UserCredential
) -> None:
    UserCredential.objects.update(**REVOKED)
    assert provider.issuer.issue(credential.id) is HandlerResult.NOTHING_TO_DO
    assert provider.standin.counts == {}


def test_a_badge_that_is_revoked_while_it_is_asked_for_does_not_stay_valid(
    provider: TestedProvider, credential: UserCredential, monkeypatch: pytest.MonkeyPatch
) -> None:
    send, at_once = HttpApi.post, []

    def revoked_meanwhile(api: HttpApi, path: str, *arguments: Any, **options: Any) -> Any:
        if not path.endswith("search") and not at_once:
            at_once.append(path)
            UserCredential.objects.update(**REVOKED)
            provider.issuer.revoke(credential.id, "")  # another worker, which finds nothing at the provider yet
        return send(api, path, *arguments, **options)

    monkeypatch.setattr(HttpApi, "post", revoked_meanwhile)
    provider.issuer.issue(credential.id)
    assert at_once
    assert len(provider.all_badges()) == 1
    assert (provider.valid_badges(), provider.row(credential).state) == ([], "revoked")


@pytest.mark.django_db(transaction=True)
def test_a_badge_that_is_issued_and_revoked_at_the_same_moment_does_not_stay_valid(
    provider: TestedProvider, credential: UserCredential
) -> None:
    provider.standin.slow_down(0.2, on="issue", times=1)
    start = threading.Barrier(2)

    def issue() -> None:
        start.wait()
        provider.issuer.issue(credential.id)

    def revoke() -> None:
        start.wait()
        UserCredential.objects.update(**REVOKED)
        provider.issuer.revoke(credential.id, "")

    def work(task: Callable[[], None]) -> None:
        try:
            task()
        except Retryable:
            pass  # it comes back
        finally:
            connection.close()

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(work, (issue, revoke)))
    provider.issuer.issue(credential.id)
    provider.issuer.revoke(credential.id, "")
    assert provider.valid_badges() == []


@pytest.mark.parametrize("found_by", ["revoke", "issue"])
def test_a_badge_whose_answer_was_lost_does_not_stay_valid_after_its_revocation(
    provider: TestedProvider, credential: UserCredential, found_by: str
) -> None:
    provider.standin.drop(on="issue", carried_out=True)
    with pytest.raises(NoAnswer):
        provider.issuer.issue(credential.id)
    UserCredential.objects.update(**REVOKED)
    if found_by == "revoke":
        provider.issuer.revoke(credential.id, "")
    else:
        provider.issuer.issue(credential.id)
    assert (provider.valid_badges(), provider.row(credential).state) == ([], "revoked")


@pytest.mark.parametrize("failure", ["dropped", "slow", "broken after", "no json"])
@pytest.mark.parametrize("allows_duplicates", [False, True])
def test_a_badge_whose_answer_was_lost_is_adopted(
    provider: TestedProvider, award: Callable[..., UserCredential], failure: str, allows_duplicates: bool
) -> None:
    template = provider.add_template(allows_duplicates=allows_duplicates)
    credential = award(provider=provider.slug, organization=provider.organization, external_template=template)
    standin = provider.standin
    {
        "dropped": lambda: standin.drop(),
        "slow": lambda: standin.slow_down(1.0, on="issue", times=1),
        "broken after": lambda: standin.break_down(on="issue", times=1, carried_out=True),
        "no json": lambda: standin.answer(on="issue", status=provider.issued_status, body=HTML, carried_out=True),
    }[failure]()
    with pytest.raises(NoAnswer) as failed:
        provider.issuer.issue(credential.id)
    assert failed.value.circuit
    assert provider.row(credential).state == "no_response"
    get_user_model().objects.update(email="ada@elsewhere.example.com")  # she moved meanwhile
    provider.issuer.issue(credential.id)
    assert provider.all_badges() == [provider.external_id(provider.row(credential))]
    assert provider.issues() == 1


def test_what_did_not_happen_after_all_is_asked_for_again(provider: TestedProvider, credential: UserCredential) -> None:
    provider.standin.drop(carried_out=False)
    with pytest.raises(NoAnswer):
        provider.issuer.issue(credential.id)
    provider.issuer.issue(credential.id)
    assert provider.all_badges() == [provider.external_id(provider.row(credential))]
    assert provider.issues() == 2


def test_as_long_as_nobody_can_look_nothing_is_asked_for_again(
    provider: TestedProvider, credential: UserCredential
) -> None:
    provider.standin.drop()
    with pytest.raises(NoAnswer):
        provider.issuer.issue(credential.id)
    provider.standin.break_down(on=provider.look_up, times=2)
    for _ in range(2):
        with pytest.raises(NoAnswer):
            provider.issuer.issue(credential.id)
    provider.issuer.issue(credential.id)
    assert (provider.issues(), len(provider.all_badges())) == (1, 1)


@pytest.mark.django_db(transaction=True)
def test_workers_that_race_make_one_badge(provider: TestedProvider, credential: UserCredential) -> None:
    provider.standin.slow_down(0.2, on="issue")
    start = threading.Barrier(4)

    def work(_: int) -> None:
        start.wait()
        try:
            provider.issuer.issue(credential.id)
        except Retryable:
            pass  # it comes back
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(4)))
    provider.issuer.issue(credential.id)
    assert provider.all_badges() == [provider.external_id(provider.row(credential))]


@pytest.mark.parametrize("status", [302, 401, 403])
def test_what_is_wrong_with_the_account_is_one_problem_of_all(
    provider: TestedProvider, credential: UserCredential, status: int
) -> None:
    provider.standin.answer(status=status, headers={"Location": "http://127.0.0.2:9/"}, times=None)
    with pytest.raises(SharedProblem, match=provider.organization) as refused:
        provider.issuer.issue(credential.id)
    assert refused.value.circuit is None
    assert (provider.row(credential).state, provider.all_badges()) == ("created", [])


@pytest.mark.parametrize("header", ["90", "date", None])
def test_too_many_requests_are_an_error_with_the_wait(
    provider: TestedProvider, credential: UserCredential, header: str | None
) -> None:
    until: Any = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=90) if header == "date" else header
    provider.standin.throttle(retry_after=until)
    with pytest.raises(Retryable) as failed:
        provider.issuer.issue(credential.id)
    assert failed.value.retry_after == (None if header is None else pytest.approx(90, abs=5))
    assert provider.row(credential).state == "created"


def test_an_answer_that_trickles_in_is_not_waited_for(
    provider: TestedProvider, credential: UserCredential, monkeypatch: pytest.MonkeyPatch
) -> None:
    import requests  # noqa: PLC0415

    pieces = requests.Response.iter_content

    def trickle(response: requests.Response, size: int) -> Any:
        for piece in pieces(response, size):
            for byte in piece:
                threading.Event().wait(0.02)
                yield bytes([byte])

    monkeypatch.setattr(requests.Response, "iter_content", trickle)
    with pytest.raises(NoAnswer, match="in time") as failed:
        provider.issuer.issue(credential.id)
    assert failed.value.circuit


@pytest.mark.parametrize("body", ["", "null", "[]", "{}", HTML, "10 MB"])
def test_an_answer_without_a_badge_leaves_the_outcome_open(
    provider: TestedProvider, credential: UserCredential, body: str
) -> None:
    if body == "10 MB":
        body = json.dumps({"x": "y" * 10_000_000})
    provider.standin.answer(on="issue", status=provider.issued_status, body=body, carried_out=True)
    with pytest.raises(NoAnswer):
        provider.issuer.issue(credential.id)
    provider.issuer.issue(credential.id)
    assert provider.all_badges() == [provider.external_id(provider.row(credential))]


def test_a_list_that_goes_on_at_another_host_is_not_followed(
    provider: TestedProvider, credential: UserCredential
) -> None:
    provider.standin.drop(carried_out=False)
    with pytest.raises(NoAnswer):
        provider.issuer.issue(credential.id)
    asked = provider.issues()
    provider.standin.link_elsewhere("http://127.0.0.2:9/v1/badges", on=provider.look_up)
    with pytest.raises(Permanent, match="Nothing was sent there"):
        provider.issuer.issue(credential.id)
    assert provider.issues() == asked


@pytest.mark.parametrize("user", ["without e-mail", "without account", "retired"])
def test_without_an_address_nobody_is_asked_and_the_remedy_is_named(
    provider: TestedProvider, credential: UserCredential, user: str
) -> None:
    if user == "without e-mail":
        get_user_model().objects.update(email="  ")
    else:
        get_user_model().objects.all().delete()
    if user == "retired":
        Learner.objects.update(lms_user_id=None)
    expected = Waiting if user == "without account" else Permanent
    with pytest.raises(expected, match=str(credential.learner.uuid)):
        provider.issuer.issue(credential.id)
    assert provider.row(credential).state == ("created" if expected is Waiting else "error")
    assert provider.standin.counts == {}


@pytest.mark.parametrize("shape", range(3))
def test_a_refusal_tells_what_the_provider_said_and_nothing_about_the_learner(
    provider: TestedProvider, credential: UserCredential, shape: int
) -> None:
    said = provider.field_errors[shape].replace("is odd", "is odd for Ada Augusta LOVELACE (Ada@Example.com)")
    provider.standin.answer(on="issue", status=422, body=said)
    with pytest.raises(Permanent, match=r"\(422\).*issued_.*is odd for .*retry") as refused:
        provider.issuer.issue(credential.id)
    assert not isinstance(refused.value, SharedProblem)
    for private in ("LOVELACE", "xample.com"):
        assert private not in str(refused.value)
    row = provider.row(credential)
    assert (row.state, row.organization) == ("error", "")


@pytest.mark.parametrize("wrong", ["organization", "template", "unknown template", "issuer"])
def test_after_the_correction_of_a_wrong_place_a_retry_issues_the_badge(
    provider: TestedProvider, award: Callable[..., UserCredential], wrong: str
) -> None:
    template = provider.add_template()
    unknown = {"credly": "00000000-0000-4000-8000-000000000001", "accredible": "17"}[provider.slug]
    credential = award(
        provider=provider.slug,
        organization="../acme" if wrong == "organization" else provider.organization,
        external_template={"template": "../algebra", "unknown template": unknown}.get(wrong, template),
    )
    if wrong == "issuer":
        TemplateIssuer.objects.update(provider="another")
    with pytest.raises(SharedProblem) as refused:
        provider.issuer.issue(credential.id)
    account, at_template = provider.issuer.circuits(credential.id)
    assert refused.value.circuit in (None if wrong == "organization" else at_template,)
    assert at_template.startswith(account)
    assert (provider.row(credential).state, provider.all_badges()) == ("created", [])
    TemplateIssuer.objects.update(
        provider=provider.slug, organization=provider.organization, external_template=template
    )
    provider.issuer.issue(credential.id)
    assert len(provider.valid_badges()) == 1


def test_the_provider_is_told_when_the_badge_ends(provider: TestedProvider, credential: UserCredential) -> None:
    UserCredential.objects.update(valid_until=dt.datetime(2999, 3, 1, 8, 30, tzinfo=dt.UTC))
    provider.issuer.issue(credential.id)
    assert provider.ends() == [dt.date(2999, 3, 1)]
