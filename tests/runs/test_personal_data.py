"""What a person who leaves relies on: no run names them afterwards, and the runs of others stay as they are."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage

from badges import api, delivery
from badges.outbox.models import OutboxMessage
from badges.runs import kinds, personal_data, queue, worker
from badges.runs.models import Run, RunMode, RunState
from tests.support.listing_run import Listing

pytestmark = [pytest.mark.tables, pytest.mark.django_db(transaction=True)]

ASTERIX, OBELIX = 4711, 815


@pytest.fixture
def listing() -> Iterator[Listing]:
    kind = Listing()
    kinds.register("listing", kind)
    yield kind
    kinds.unregister("listing")


@pytest.fixture(autouse=True)
def people() -> None:
    api.get_or_create_learners(
        [
            api.LearnerData(ASTERIX, True, "asterix", "asterix@example.com", "Astérix Le Gaulois"),
            api.LearnerData(OBELIX, True, "obelix", "obelix@example.com", "Obélix Le Tailleur"),
        ]
    )


def start(*named: Any, **parameters: Any) -> Run:
    return queue.start("listing", mode=RunMode.APPLY, parameters={"people": list(named), **parameters})


def carried_out(*named: Any, **parameters: Any) -> Run:
    run = start(*named, **parameters)
    worker.work()
    run.refresh_from_db()
    assert run.state == RunState.DONE
    return run


def results() -> list[str]:
    return [name for name in Run.objects.order_by("pk").values_list("result", flat=True) if name]


@pytest.mark.parametrize("name", [ASTERIX, "asterix", str(ASTERIX)])
def test_parameters_lose_the_person_and_nothing_else(listing: Listing, name: Any) -> None:
    run = start(name, OBELIX, "obelix", person=name, number=ASTERIX, days={"most": ASTERIX})

    assert api.retire(ASTERIX).counts["lms_badges"]["parameters of runs"] == 1

    run.refresh_from_db()
    wanted = {"people": [OBELIX, "obelix"], "person": None, "number": ASTERIX, "days": {"most": ASTERIX}}
    assert run.read_parameters() == wanted


def test_of_a_kind_that_is_gone_all_parameters_are_taken_to_name_people(listing: Listing) -> None:
    run = start(OBELIX, whoever={"first": "asterix", "others": ["obelix", "asterix"]})
    Run.objects.update(kind="houba")

    api.retire(ASTERIX)

    run.refresh_from_db()
    assert run.read_parameters()["whoever"] == {"first": None, "others": ["obelix"]}


@pytest.mark.parametrize("name", [ASTERIX, "asterix", "asterix@example.com", "Astérix Le Gaulois"])
def test_a_result_that_names_the_person_is_removed_with_its_file_and_others_stay(listing: Listing, name: Any) -> None:
    naming, other = carried_out(name, OBELIX), carried_out(OBELIX, "asterixes", f"{ASTERIX}0")
    file = naming.result.name

    assert api.retire(ASTERIX).counts["lms_badges"]["results of runs"] == 1
    delivery.drain()

    naming.refresh_from_db()
    assert (naming.result.name, naming.note) == ("", personal_data.RESULT_REMOVED)
    assert not default_storage.exists(file)
    assert results() == [other.result.name]
    assert default_storage.exists(other.result.name)
    assert "asterix" not in json.dumps(list(OutboxMessage.objects.values_list("payload", flat=True))).lower()


@pytest.mark.parametrize(
    ("content", "is_named"),
    [
        (b"\xff\xfe not UTF-8", True),
        (json.dumps({"name": "Ast\u00e9rix Le Gaulois"}).encode(), True),
        (b'{"user": "ASTERIX"}', True),
        (b"count\n47110", False),
        (b"", False),
    ],
)
def test_files_that_nobody_can_read_count_as_naming_everybody(content: bytes, is_named: bool) -> None:
    assert personal_data.names(content, {str(ASTERIX), "asterix", "Astérix Le Gaulois"}) is is_named


def test_a_plan_removes_no_result(listing: Listing) -> None:
    run = carried_out("asterix")
    api.retire(ASTERIX, plan=True)
    delivery.drain()
    assert default_storage.exists(run.result.name)
    assert results() == [run.result.name]


def test_a_result_that_was_being_made_is_made_again_without_the_person(listing: Listing) -> None:
    run = start("asterix", "obelix")
    retired = []

    def retire() -> None:
        if not retired:
            retired.append(api.retire(ASTERIX))

    listing.before_result = retire
    worker.work()
    delivery.drain()

    run.refresh_from_db()
    assert run.state == RunState.DONE
    with run.result.open() as file:
        assert file.read() == b"name\nobelix"
    folder = run.result.name.rpartition("/")[0]
    assert default_storage.listdir(folder) == ([], ["people.csv"])


def test_the_file_of_a_worker_that_was_killed_is_removed_by_the_next_one(listing: Listing, monkeypatch: Any) -> None:
    class Killed(BaseException):
        pass

    def store_and_kill(run: Run, name: str, content: bytes, now: Any) -> None:
        default_storage.save(name, ContentFile(content))
        raise Killed

    run = start("obelix")
    with monkeypatch.context() as patched:
        patched.setattr(worker, "_store_and_close", store_and_kill)
        with pytest.raises(Killed):
            worker.work()
    (left,) = results()
    assert default_storage.exists(left)

    Run.objects.update(due_at=run.asked_at)
    worker.work()

    run.refresh_from_db()
    assert run.state == RunState.DONE
    assert run.result.name != left
    assert not default_storage.exists(left)


@pytest.mark.parametrize(
    ("note", "left"),
    [
        ("LMS user 4711 is unknown.", "LMS user … is unknown."),
        ("The learner asterix, and obelix.", "The learner …, and obelix."),
        ("Mail to ASTERIX@example.com came back.", "Mail to … came back."),
        ("lms_user_id: 4711", "lms_user_id: …"),
        ("Given up after 4711 tries.", "Given up after 4711 tries."),
        ("LMS user 47110 is unknown.", "LMS user 47110 is unknown."),
    ],
)
def test_notes_lose_the_person_and_keep_their_counts(listing: Listing, note: str, left: str) -> None:
    run = start(OBELIX)
    Run.objects.update(note=note)
    api.retire(ASTERIX)
    run.refresh_from_db()
    assert run.note == left


def test_an_account_without_a_name_removes_nothing_from_others(listing: Listing) -> None:
    get_user_model().objects.update(first_name="", last_name="", email="")
    run = carried_out("obelix", "")
    api.retire(ASTERIX)
    assert results() == [run.result.name]
