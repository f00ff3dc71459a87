"""A worker that has to stop in the middle: it releases its rows, and nothing has failed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from celery.exceptions import SoftTimeLimitExceeded

from badges.api import RunState
from credentials_config.contracts import Assets, Document, DocumentContext, Options
from credentials_config.issuing import document_queue, run_queue, runs
from credentials_config.models import Credential, CredentialConfiguration, CredentialRun, RunCause
from credentials_config.testing.lms import LmsStandIn
from tests.credentials_config.plugins import registered
from tests.support.certificates import HOUR, NOW, add_algebra, assert_one_each, configure_certificate, make, run
from tests.support.text_generator import TextGenerator, TextRenderer

pytestmark = [pytest.mark.tables, pytest.mark.django_db]

STOPS = [SoftTimeLimitExceeded, SystemExit, KeyboardInterrupt]


class InterruptedGenerator(TextGenerator):
    """A text generator that is interrupted in the middle of a name."""

    slug = "interrupted"
    interruption: type[BaseException] | None = None
    on = "Learner Number 2"

    def create_renderer(self, options: Options, assets: Assets) -> TextRenderer:
        interrupted = self

        class InterruptedRenderer(TextRenderer):
            def render(self, context: DocumentContext) -> Document:
                if interrupted.interruption is not None and context.name == interrupted.on:
                    raise interrupted.interruption
                return super().render(context)

        return InterruptedRenderer(options, assets)


@pytest.fixture
def interrupted() -> Iterator[InterruptedGenerator]:
    with registered(InterruptedGenerator()) as plugin:
        yield plugin


def certificate_of(interrupted: InterruptedGenerator) -> CredentialConfiguration:
    configuration = configure_certificate()
    configuration.credential_type.generator = interrupted.slug
    configuration.credential_type.save()
    return configuration


@pytest.mark.parametrize("stop", STOPS)
def test_a_worker_that_has_to_stop_keeps_what_it_made_releases_the_rest_and_nothing_failed(
    lms: LmsStandIn, interrupted: InterruptedGenerator, stop: type[BaseException]
) -> None:
    add_algebra(lms, finished=4, unfinished=0)
    configuration = certificate_of(interrupted)
    done = run(configuration)
    interrupted.interruption = stop
    with pytest.raises(stop):
        make()
    columns = ("status", "claim", "claims", "attempts", "error")
    assert list(Credential.objects.order_by("learner__lms_user_id").values_list(*columns)) == [
        ("available", None, 0, 0, ""),
        ("generating", None, 1, 1, ""),  # a document that outlasts every worker is given up some time
        ("generating", None, 0, 0, ""),
        ("generating", None, 0, 0, ""),
    ]
    configuration.refresh_from_db()
    assert (configuration.problem, configuration.problem_until) == ("", None)
    interrupted.interruption = None
    assert make(now=NOW).made == 3, "at once, and not when a lease ends"
    assert_one_each(learners=4)
    done.refresh_from_db()
    assert (done.issued, done.failed) == (4, 0)


@pytest.mark.parametrize("stop", STOPS)
def test_a_run_whose_worker_has_to_stop_is_released_and_has_not_failed(
    lms: LmsStandIn, settings: Any, stop: type[BaseException]
) -> None:
    settings.CREDENTIALS_CONFIG = {**settings.CREDENTIALS_CONFIG, "issuing": {"chunk": 2, "max_attempts": 2}}
    add_algebra(lms, finished=5, unfinished=0)
    configuration = configure_certificate()
    asked = run_queue.request(configuration, cause=RunCause.SCHEDULE, now=NOW)

    def ring(run: CredentialRun) -> None:
        raise stop

    for _ in range(2):
        claimed = run_queue.claim(run=asked, now=NOW)
        assert claimed is not None, "it was released"
        with pytest.raises(stop):
            runs.carry_out(claimed, now=NOW, on_progress=ring)
        asked.refresh_from_db()
        assert (asked.outcome, asked.note, asked.run.claim) == ("", "", None)
    configuration.refresh_from_db()
    assert configuration.problem == ""
    assert Credential.objects.count() == 2, "the first chunk is kept"


def test_a_run_that_outlasts_or_kills_every_worker_ends_and_says_so(lms: LmsStandIn, settings: Any) -> None:
    settings.CREDENTIALS_CONFIG = {**settings.CREDENTIALS_CONFIG, "issuing": {"max_attempts": 2}}
    add_algebra(lms)
    configuration = configure_certificate()
    asked = run_queue.request(configuration, cause=RunCause.SCHEDULE, now=NOW)
    for hours in range(2):
        assert run_queue.claim(run=asked, now=NOW + hours * HOUR) is not None
    claimed = run_queue.claim(run=asked, now=NOW + 2 * HOUR)
    assert claimed is not None
    done = runs.carry_out(claimed, now=NOW + 2 * HOUR)
    assert done.outcome == RunState.FAILED
    assert done.note.startswith("Its worker was killed, or had to stop")
    assert run(configuration, now=NOW + 3 * HOUR).outcome == RunState.DONE, "the next schedule begins a new one"
    assert document_queue.anything_due(now=NOW + 3 * HOUR)
