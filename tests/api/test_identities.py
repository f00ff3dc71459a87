"""Ids of people at other systems: each belongs to one person, from every way in."""

from __future__ import annotations

from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.core.management import CommandError, call_command
from django.db import connection

from badges import api
from badges.api import ExternalIdentity
from badges.exceptions import IdentityTakenError, UnknownPersonError, UnusableIdentityError
from badges.intake.learners import give_account
from badges.models import IdempotentRequest, Learner, LearnerIdentity, StickerClaim
from tests.factories import LearnerFactory, UserFactory, make_template
from tests.flows.senders import claimed, take
from tests.rest_api.schema import assert_as_promised
from tests.support.constraints import again, refused
from tests.support.learner_factories import signed_in, somebody
from tests.support.statement_counts import counted_statements
from tests.support.threads import outcomes_at_once

pytestmark = [pytest.mark.django_db, pytest.mark.tables]

ISSUER = "https://id.example.org"
SPIROU = ExternalIdentity(ISSUER, "groom-1938")
LIST = "/api/users/v1/users/{userId}/identities"
DETAIL = LIST + "/{identityId}"


# --- Python -----------------------------------------------------------------------------------------------------------


def test_an_id_that_was_added_finds_the_learner_and_adding_it_again_changes_nothing() -> None:
    learner = LearnerFactory()
    row, is_new = api.link_identity(learner, SPIROU)
    assert (api.learner_of(SPIROU), is_new) == (learner, True)
    assert api.link_identity(learner.user, SPIROU) == (row, False)
    assert list(api.identities_of(learner.lms_user_id)) == [row]
    assert [api.unlink_identity(SPIROU), api.unlink_identity(SPIROU)] == [True, False]
    assert api.learner_of(SPIROU) is None


def test_an_account_without_a_learner_gets_one() -> None:
    user = UserFactory()
    api.link_identity(user, SPIROU)
    assert Learner.objects.get(user=user) == api.learner_of(SPIROU)


def test_only_the_exact_username_names_a_person_on_every_database() -> None:
    learner, user = LearnerFactory(user__username="josé"), UserFactory(username="zoé")
    assert (api.learner_of("josé"), api.account_of("zoé")) == (learner, user)
    for name in ("jose", "JOSÉ", "zoe"):
        assert (api.learner_of(name), api.account_of(name)) == (None, None)
    with pytest.raises(UnknownPersonError):
        api.link_identity("jose", SPIROU)


def test_an_id_of_another_learner_is_refused() -> None:
    api.link_identity(LearnerFactory(), SPIROU)
    with pytest.raises(IdentityTakenError):
        api.link_identity(LearnerFactory(), SPIROU)
    refused(again(LearnerIdentity.objects.get(), learner_id=LearnerFactory().pk))


@pytest.mark.parametrize(
    ("issuer", "subject", "field"),
    [
        ("", "7", "issuer"),
        (ISSUER, "", "subject"),
        (ISSUER, " 7", "subject"),
        (ISSUER, "7\0", "subject"),
        (ISSUER, "7\ud800", "subject"),
        (ISSUER, "7" * 256, "subject"),
        ("i" * 256, "7", "issuer"),
    ],
)
def test_an_id_that_cannot_be_stored_is_refused_with_its_field(issuer: str, subject: str, field: str) -> None:
    with pytest.raises(UnusableIdentityError) as caught:
        api.link_identity(LearnerFactory(), ExternalIdentity(issuer, subject))
    assert caught.value.field == field


def test_a_retired_learner_gets_no_id_and_loses_those_there_were() -> None:
    learner = LearnerFactory()
    api.link_identity(learner, SPIROU)
    api.retire(learner)
    assert not LearnerIdentity.objects.exists()
    with pytest.raises(UnknownPersonError):
        api.link_identity(Learner.objects.get(pk=learner.pk), SPIROU)


@pytest.mark.django_db(transaction=True)
def test_of_many_learners_at_once_one_gets_the_id() -> None:
    learners = LearnerFactory.create_batch(20 if connection.vendor != "sqlite" else 6)
    done = outcomes_at_once([lambda one=one: api.link_identity(one, SPIROU) for one in learners])
    refusals = [each for each in done if isinstance(each, Exception)]
    assert {type(each) for each in refusals} == {IdentityTakenError}
    assert len(refusals) == len(learners) - 1
    assert LearnerIdentity.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_an_account_without_a_learner_gets_one_from_requests_at_once() -> None:
    user = UserFactory()
    ids = [ExternalIdentity(ISSUER, f"groom-{number}") for number in range(6)]
    done = outcomes_at_once([lambda one=one: api.link_identity(user, one) for one in ids])
    assert [each for each in done if isinstance(each, Exception)] == []
    assert LearnerIdentity.objects.filter(learner=Learner.objects.get(user=user)).count() == len(ids)


# --- signing in -------------------------------------------------------------------------------------------------------


def test_who_signs_in_through_an_issuer_gets_the_id_once() -> None:
    user = UserFactory()
    rows = {api.link_sign_in(user, SPIROU).pk for _ in range(2)}
    assert len(rows) == 1
    assert api.learner_of(SPIROU) == Learner.objects.get(user=user)


def test_a_learner_with_the_id_and_without_an_account_gets_the_account() -> None:
    learner, user = LearnerFactory(user=None), UserFactory()
    api.link_identity(learner, SPIROU)
    api.link_sign_in(user, SPIROU)
    assert Learner.objects.get(pk=learner.pk).user == user
    assert Learner.objects.count() == 1


def test_an_id_of_another_account_is_refused() -> None:
    api.link_identity(LearnerFactory(), SPIROU)
    with pytest.raises(IdentityTakenError):
        api.link_sign_in(UserFactory(), SPIROU)


def test_two_learners_of_one_person_are_noted_for_staff_who_can_join_them(caplog: Any) -> None:
    by_id, by_account = LearnerFactory(user=None), LearnerFactory(lms_user_id=None)
    api.link_identity(by_id, SPIROU)
    with pytest.raises(IdentityTakenError):
        api.link_sign_in(by_account.user, SPIROU)
    by_id.refresh_from_db()
    assert by_id.account_learner == by_account
    assert by_account.user.username not in caplog.text
    give_account(by_id)
    assert api.link_sign_in(by_account.user, SPIROU).learner_id == by_id.pk


@pytest.mark.parametrize(("stored", "taken"), [("4711", True), ("4712", False), ("", False)])
def test_a_learner_of_another_lms_user_does_not_get_the_account(
    stored: str, taken: bool, settings: Any, caplog: Any
) -> None:
    settings.LMS_BADGES_CONFIG = {"user_lms_id_field": "last_name"}  # some text column of the host
    learner, user = LearnerFactory(lms_user_id=4712, user=None), UserFactory(last_name=stored)
    api.link_identity(learner, SPIROU)
    if not taken:
        assert api.link_sign_in(user, SPIROU).learner.user == user
        return
    with pytest.raises(IdentityTakenError):
        api.link_sign_in(user, SPIROU)
    assert Learner.objects.get().user is None
    assert f"learner row {learner.pk}," in caplog.text


@pytest.mark.parametrize("meanwhile", ["removed", "retired"])
def test_what_staff_do_before_the_lock_of_a_sign_in_counts(meanwhile: str, monkeypatch: Any) -> None:
    learner, user = LearnerFactory(user=None), UserFactory()
    api.link_identity(learner, SPIROU)
    lock = Learner.objects.select_for_update

    def late_lock() -> Any:
        monkeypatch.undo()
        if meanwhile == "removed":
            api.unlink_identity(SPIROU)
        else:
            api.retire(user)
        return lock()

    monkeypatch.setattr(Learner.objects, "select_for_update", late_lock)
    if meanwhile == "removed":
        assert api.link_sign_in(user, SPIROU).learner == Learner.objects.get(user=user)
    else:
        with pytest.raises(UnknownPersonError):
            api.link_sign_in(user, SPIROU)
    assert Learner.objects.get(pk=learner.pk).user is None


def test_who_was_retired_is_not_brought_back_by_signing_in() -> None:
    learner = LearnerFactory()
    user = learner.user
    api.retire(learner)
    with pytest.raises(UnknownPersonError):
        api.link_sign_in(user, SPIROU)
    other = LearnerFactory(user=None)
    api.link_identity(other, SPIROU)
    with pytest.raises(UnknownPersonError):
        api.link_sign_in(user, SPIROU)
    assert Learner.objects.get(pk=other.pk).user is None


# --- REST -------------------------------------------------------------------------------------------------------------


@pytest.fixture
def client(db: None) -> Any:
    return signed_in(somebody("view_learneridentity", "add_learneridentity", "delete_learneridentity"))


def post(client: Any, user: Any, body: Any, **headers: str) -> Any:
    return client.post(
        LIST.format(userId=user), body, content_type="application/json", headers=headers, raise_request_exception=True
    )


def test_staff_add_list_and_remove_an_id(client: Any) -> None:
    learner = LearnerFactory()
    response = post(client, learner.uuid, {"issuer": ISSUER, "subject": "グルーム"})
    added = assert_as_promised(response, LIST, method="post")
    assert (response.status_code, added["issuer"], added["subject"]) == (201, ISSUER, "グルーム")
    listed = assert_as_promised(client.get(LIST.format(userId=learner.lms_user_id)), LIST)
    assert listed["results"] == [added]
    detail = DETAIL.format(userId=learner.uuid, identityId=added["identityId"])
    assert assert_as_promised(client.delete(detail), DETAIL, method="delete") == added
    assert client.delete(detail).status_code == 404
    assert client.delete(detail.replace("identities/", "identities/99999999999999999999")).status_code == 404
    assert not LearnerIdentity.objects.exists()


def test_an_account_without_a_learner_can_be_named(client: Any) -> None:
    user = UserFactory()
    assert client.get(LIST.format(userId=user.username)).json()["results"] == []
    assert post(client, user.username, SPIROU._asdict()).status_code == 201
    assert api.learner_of(SPIROU) == Learner.objects.get(user=user)


def test_an_id_that_somebody_has_is_answered_with_409(client: Any) -> None:
    learner = LearnerFactory()
    api.link_identity(learner, SPIROU)
    for user, code in ((learner.uuid, "already_linked"), (LearnerFactory().uuid, "identity_taken")):
        response = post(client, user, SPIROU._asdict())
        assert (response.status_code, response.json()["code"]) == (409, code)
        assert SPIROU.subject not in response.content.decode()


def test_a_request_with_a_key_is_carried_out_once(client: Any) -> None:
    learner, key = LearnerFactory(), {"Idempotency-Key": "1938"}
    first = post(client, learner.uuid, SPIROU._asdict(), **key)
    again_ = post(client, learner.uuid, SPIROU._asdict(), **key)
    assert (first.status_code, again_.status_code, again_.content) == (201, 201, first.content)
    assert again_.headers["Idempotent-Replayed"] == "true"
    assert assert_as_promised(again_, LIST, method="post")["subject"] == SPIROU.subject


def test_the_answer_to_a_key_holds_no_id_of_somebody_who_was_retired(client: Any) -> None:
    learner, key = LearnerFactory(), {"Idempotency-Key": "1938"}
    assert post(client, learner.uuid, SPIROU._asdict(), **key).status_code == 201
    api.retire(learner)
    assert not [row for row in IdempotentRequest.objects.all() if SPIROU.subject in str(row.answer)]
    assert post(client, learner.uuid, SPIROU._asdict(), **key).status_code == 404


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "issuer"),
        ({"issuer": ISSUER, "subject": ""}, "subject"),
        ({"issuer": ISSUER, "subject": 7}, "subject"),
        ({"issuer": ISSUER, "subject": "a\u0007"}, "subject"),
        ({"issuer": ISSUER, "subject": "a" * 256}, "subject"),
        ({"issuer": ISSUER, "subject": "7", "learner": 1}, "learner"),
    ],
)
def test_a_wrong_field_is_named(client: Any, body: Any, field: str) -> None:
    response = post(client, LearnerFactory().uuid, body)
    assert response.status_code == 400
    assert response.json()["errors"][0]["field"] == field


def test_each_request_needs_its_permission_and_a_known_user(client: Any) -> None:
    learner = LearnerFactory()
    assert post(client, "nobody", SPIROU._asdict()).status_code == 404
    row, _ = api.link_identity(learner, SPIROU)
    own = signed_in(learner.user)
    assert own.get(LIST.format(userId=learner.uuid)).status_code == 403
    assert post(own, learner.uuid, SPIROU._asdict()).status_code == 403
    assert own.delete(DETAIL.format(userId=learner.uuid, identityId=row.pk)).status_code == 403
    assert client.delete(DETAIL.format(userId=LearnerFactory().uuid, identityId=row.pk)).status_code == 404


# --- a file -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def identities(tmp_path: Path) -> Callable[..., str]:
    """Run the command on a file with this text."""

    def run(action: str, text: str | bytes) -> str:
        file = tmp_path / "identities.csv"
        file.write_bytes(text if isinstance(text, bytes) else text.encode())
        out = StringIO()
        call_command("badges_identities", action, str(file), stdout=out)
        return out.getvalue()

    return run


def test_a_file_names_people_in_three_ways_and_is_safe_to_repeat(identities: Any) -> None:
    by_uuid, by_number, by_name = LearnerFactory.create_batch(3)
    user = UserFactory(username="zorglub")
    text = (
        "\ufeffsubject,learner,issuer\n"
        f"s-1,{by_uuid.uuid},{ISSUER}\n"
        f"s-2,{by_number.lms_user_id},{ISSUER}\n\n"
        f'"s,3",{by_name.user.username},{ISSUER}\n'
        f"s-4,zorglub,{ISSUER}\n"
    )
    assert "4 to add, 0 unchanged" in identities("plan", text)
    assert not LearnerIdentity.objects.exists()
    assert not Learner.objects.filter(user=user).exists()
    assert "4 added, 0 unchanged" in identities("apply", text)
    found = {row.subject: row.learner for row in LearnerIdentity.objects.all()}
    assert found == {"s-1": by_uuid, "s-2": by_number, "s,3": by_name, "s-4": Learner.objects.get(user=user)}
    assert "0 added, 4 unchanged" in identities("apply", text)


def test_one_wrong_line_and_nothing_is_written_and_nobody_is_named(identities: Any) -> None:
    learner, retired = LearnerFactory.create_batch(2)
    api.link_identity(LearnerFactory(), ExternalIdentity(ISSUER, "taken"))
    gone = retired.lms_user_id
    api.retire(retired)
    lines = ["learner,issuer,subject", f"{learner.uuid},{ISSUER},s-1", f"{learner.uuid},{ISSUER},taken"]
    lines += [
        f"{gone},{ISSUER},s-3",
        f"nobody,{ISSUER},s-4",
        f"{'9' * 30},{ISSUER},s-5",
        f"{retired.uuid},{ISSUER},s-6",
    ]
    with pytest.raises(CommandError) as caught:
        identities("apply", "\n".join(lines))
    told = str(caught.value)
    assert "5 problems; nothing was changed" in told
    assert "line 3: Another learner has this id" in told
    assert "line 4: nobody here is this learner, or the person was retired" in told
    assert "line 5: nobody here" in told
    assert "line 6: nobody" in told
    assert "line 7: nobody here" in told
    assert not any(name in told for name in ("taken", str(gone), str(learner.uuid)))
    assert LearnerIdentity.objects.count() == 1


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "line 1: the columns are learner, issuer, subject"),
        ("learner,issuer\n7,x", "line 1: the columns are"),
        ("learner,issuer,subject\n7,x", "line 2: as many values"),
        ("learner,issuer,subject\n7,,s", "line 2: issuer: Write 1 to 255"),
        ("learner,issuer,subject\n7,x," + "s" * 256, "line 2: subject: Write 1 to 255"),
        ("learner,issuer,subject\n,x,s", "line 2: nobody here"),
        ("learner,issuer,subject\n7,x,s\n8,x,s", "line 3: line 2 has this id for another learner"),
        ('learner,issuer,subject\n7,x,"s', "line 2: this is no CSV"),
        (b"learner,issuer,subject\n7,x,\xff", "this is no UTF-8"),
        (b"learner,issuer,subject\n7,x,s\0", "line 2:"),
        ("learner,issuer,subject\n7,x," + "s" * 200_000, "line 2: this is no CSV"),
    ],
)
def test_a_file_that_cannot_be_read_is_refused_with_its_line(identities: Any, text: Any, told: str) -> None:
    with pytest.raises(CommandError, match="nothing was changed") as caught:
        identities("apply", text)
    assert told in str(caught.value)


def test_a_file_without_lines_adds_nothing_and_a_missing_one_is_named(identities: Any) -> None:
    assert "0 to add, 0 unchanged" in identities("plan", "learner,issuer,subject\n")
    with pytest.raises(CommandError, match=r"missing\.csv: No such file"):
        call_command("badges_identities", "plan", "missing.csv")


def test_the_number_of_statements_does_not_depend_on_the_number_of_lines(identities: Any) -> None:
    header = "learner,issuer,subject\n"
    learners = LearnerFactory.create_batch(30)
    lines = [f"{learner.user.username},{ISSUER},s-{learner.pk}\n" for learner in learners]
    with counted_statements() as few:
        identities("apply", header + lines[0])
    with counted_statements() as many:
        identities("apply", header + "".join(lines[1:]))
    assert len(many) == len(few)


# --- the admin --------------------------------------------------------------------------------------------------------


def test_staff_add_an_id_on_the_page_of_a_learner() -> None:
    learner = LearnerFactory()
    staff = signed_in(somebody("view_learner", "add_learneridentity", "view_learneridentity", is_staff=True))
    page, form = f"/admin/lms_badges/learner/{learner.pk}/change/", {"issuer": ISSUER, "external_id": "groom-1938"}
    address = f"/admin/lms_badges/learner/{learner.pk}/identify/"
    assert address in staff.get(page).content.decode()
    assert staff.post(address, form).status_code == 302
    row = LearnerIdentity.objects.get()
    assert (row.learner, row.subject) == (learner, "groom-1938")
    assert f"/admin/lms_badges/learneridentity/{row.pk}/change/" in staff.get(page).content.decode()
    other = f"/admin/lms_badges/learner/{LearnerFactory().pk}/identify/"
    refusal = staff.post(other, form)
    assert refusal.status_code == 200
    assert "Another learner has this id" in refusal.content.decode()


def test_the_page_of_a_learner_needs_the_permission_to_add_ids() -> None:
    learner = LearnerFactory()
    staff = signed_in(somebody("view_learner", is_staff=True))
    address = f"/admin/lms_badges/learner/{learner.pk}/identify/"
    assert address not in staff.get(f"/admin/lms_badges/learner/{learner.pk}/change/").content.decode()
    assert staff.post(address, {"issuer": ISSUER, "external_id": "groom-1938"}).status_code == 403


# --- events -----------------------------------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_a_service_names_people_by_its_own_ids(settings: Any) -> None:
    settings.LMS_BADGES_CONFIG = {"flows": {"account_issuer": ISSUER}}
    make_template(slug="star")
    learner = LearnerFactory()
    api.link_identity(learner, SPIROU)
    take(claimed("groom-1938", "star"))
    assert StickerClaim.objects.get().learner == learner
    assert get_user_model().objects.count() == 1
