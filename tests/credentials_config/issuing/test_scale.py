"""A run over thousands of learners needs no more memory than a small one."""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Collection, Iterator
from typing import Any

import pytest

from credentials_config.contracts import Eligibility, Options, Person, Processor
from credentials_config.issuing import run_queue, runs
from credentials_config.models import Credential, RunCause
from credentials_config.testing.lms import LmsStandIn
from tests.credentials_config.factories import CredentialConfigurationFactory
from tests.credentials_config.plugins import registered
from tests.factories import ALGEBRA
from tests.support.certificates import NOW, make

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.large]


class Crowd(Processor):
    """Finds as many people as its options say, all of them eligible, and keeps none in memory."""

    slug = "crowd"
    title = "Crowd"

    def __init__(self) -> None:
        self.largest = 0
        self.most_alive = 0

    def supports(self, context_key: str) -> bool:
        return True

    def clean_options(self, options: Options) -> list[str]:
        return []

    def people(self, context_key: str, options: Options) -> Iterator[Person]:
        for number in range(1, options["people"] + 1):
            yield Person(number, f"person-{number}", f"{number}@example.org", f"Person {number}")

    def retrieve(
        self, context_key: str, options: Options, learners: Collection[Person] | None = None
    ) -> dict[int, Eligibility]:
        assert learners is not None, "nobody asks about everyone at once"
        self.largest = max(self.largest, len(learners))
        if any(person.lms_user_id % 1_000 == 0 for person in learners):
            alive = sum(type(thing) in {Person, Eligibility} for thing in gc.get_objects())
            self.most_alive = max(self.most_alive, alive)
        return {person.lms_user_id: Eligibility(True) for person in learners}


@pytest.fixture
def crowd() -> Iterator[Crowd]:
    with registered(Crowd()) as plugin:
        yield plugin


def test_a_run_over_four_thousand_learners_needs_no_more_memory_than_one_over_a_thousand(
    lms: LmsStandIn, crowd: Crowd, settings: Any
) -> None:
    settings.CREDENTIALS_CONFIG = {**settings.CREDENTIALS_CONFIG, "issuing": {"learner_languages": False}}
    lms.add_course(ALGEBRA, name="Algebra for everybody")
    configuration = CredentialConfigurationFactory(
        credential_type__processor="crowd", credential_type__generator="text_generator"
    )
    peaks = {}
    for people in (400, 1_000, 4_000):  # the first warms up
        configuration.options = {"people": people}
        configuration.save()
        claimed = run_queue.claim(run=run_queue.request(configuration, cause=RunCause.COMMAND, now=NOW), now=NOW)
        assert claimed is not None
        runs.carry_out(claimed, now=NOW)
        tracemalloc.start()
        make(now=NOW)
        peaks[people] = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert Credential.objects.filter(status="available").count() == 4_000
    assert crowd.largest <= 200
    assert 0 < crowd.most_alive <= 1_000  # people, and what was found about them: a few chunks
    # A row alone has some thousand bytes; the names of files, which Python interns, have some hundred.
    assert (peaks[4_000] - peaks[1_000]) / 3_000 < 1_000
