"""Who is on a list that somebody wrote or uploaded."""

from __future__ import annotations

import logging

import pytest

from credentials_config.contracts import Person
from credentials_config.models import CredentialAsset
from credentials_config.registry import processor
from tests.credentials_config.lms import school

ADA, BOB, EVE = Person(1001, "ada"), Person(1002, "bob"), Person(1003, "eve")


def on_list(options, *people: Person) -> list[str]:
    answers = processor("csv_list").retrieve(school.ALGEBRA, options, people)
    return [person.username for person in people if answers[person.lms_user_id].eligible]


def upload(text: str | bytes, slug: str = "winners") -> dict[str, str]:
    content = text.encode() if isinstance(text, str) else text
    CredentialAsset.objects.upload(slug, content, name="winners.csv")
    return {"learners_asset": slug}


@pytest.fixture
def storage(db, settings, tmp_path) -> None:
    settings.MEDIA_ROOT = tmp_path


def test_usernames_and_ids_may_be_mixed():
    assert on_list({"learners": ["ada", 1003]}, ADA, BOB, EVE) == ["ada", "eve"]
    assert on_list({"learners": ["1002"]}, ADA, BOB, EVE) == ["bob"]


def test_digits_are_an_id_and_capitals_matter():
    assert on_list({"learners": ["1001", "ADA"]}, Person(7, "1001"), Person(8, "ada"), ADA) == ["ada"]


def test_whoever_is_not_on_it_is_told():
    (answer,) = processor("csv_list").retrieve(school.ALGEBRA, {"learners": ["bob"]}, [ADA]).values()

    assert (answer.eligible, answer.reasons) == (False, ("Not on the list.",))


@pytest.mark.parametrize(
    "text",
    [
        "ada\neve\n",
        "1001\n1003",
        "username\nada\neve\n",
        "name,username,mark\nbob,ada,1\n bob , eve ,2\n",
        "mark;user_id\n1002;1001\n1002;1003\n",
        "\ufeffUsername\r\nada\r\n\r\neve\r\n",
        'name\tUSERNAME\n"bob\nbob"\tada\nbob\teve\n',
        "ada,bob\neve\n",
    ],
)
def test_an_uploaded_list_is_read_by_its_column(storage, text):
    assert on_list(upload(text), ADA, BOB, EVE) == ["ada", "eve"]


def test_the_newest_upload_counts(storage):
    upload("ada\n")
    options = upload("bob\n")

    assert on_list(options, ADA, BOB) == ["bob"]


def test_people_of_the_list_come_once_whoever_is_enrolled(lms, caplog):
    for username in ("ada", "bob", "eve"):
        lms.add_learner(username)

    with caplog.at_level(logging.WARNING):
        people = list(processor("csv_list").people(school.ALGEBRA, {"learners": ["ada", 1001, "eve", "nobody"]}))

    assert [person.username for person in people] == ["ada", "eve"]
    assert "knows 2 people of the 4 entries" in caplog.text
    assert "nobody" not in caplog.text


def test_in_a_pathway_the_list_counts_for_those_enrolled(lms):
    school.fill(lms)
    for username in ("ada", "bob"):
        lms.add_learner(username)
        lms.enroll(school.PATHWAY, username, is_active=username == "ada")

    answers = processor("csv_list").retrieve(school.PATHWAY, {"learners": ["ada", "bob"]}, [ADA, BOB])

    assert (answers[1001].eligible, answers[1002].reasons) == (True, ("Not enrolled.",))


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"learners": "ada"},
        {"learners": [1.5]},
        {"learners": [True]},
        {"learners": [["ada"]]},
        {"learners": []},
        {"learners": ["ada"], "learners_asset": "winners"},
        {"learners_asset": 5},
    ],
)
def test_options_without_a_list_say_what_to_write(options):
    (error,) = processor("csv_list").clean_options(options)

    assert error.startswith("learners")


@pytest.mark.parametrize(
    "content", [b"", b"\xff\xfe\x00a", "jos\u00e9".encode("latin-1"), b"username\n", b'"ada\n', b"a\n" * 11_000_000]
)
def test_a_file_that_is_no_list_says_so(storage, content):
    (error,) = processor("csv_list").clean_options(upload(content))

    assert error.startswith("learners")


def test_a_file_that_is_not_there_is_named(storage):
    (error,) = processor("csv_list").clean_options({"learners_asset": "losers"})

    assert error.startswith("learners_asset: There is no asset 'losers'")


@pytest.mark.parametrize("number", ["9" * 30, "9" * 5000])
def test_a_number_that_is_nobodys_id_disturbs_nobody_else(storage, lms, number):
    school.fill(lms)
    lms.add_learner("ada", id=1001)
    lms.add_learner("bob", id=1002)
    options = upload(f"ada\n{number}\n1002\n")

    assert processor("csv_list").clean_options(options) == []
    assert [person.lms_user_id for person in processor("csv_list").people(school.ALGEBRA, options)] == [1001, 1002]


def test_signs_that_look_like_digits_are_a_username():
    assert on_list({"learners": ["²", "१००१"]}, ADA, Person(7, "²")) == ["²"]


def test_a_list_of_blanks_is_a_list_of_nobody():
    (error,) = processor("csv_list").clean_options({"learners": ["", "  "]})

    assert error == "learners: nobody is on the list. Add usernames or LMS user ids."
