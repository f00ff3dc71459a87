"""Thousands of learners: in chunks, with memory flat and only those asked about who are to be."""

from __future__ import annotations

import tracemalloc

from credentials_config import lms as lms_client
from credentials_config.lms.chunks import chunks
from credentials_config.registry import processor
from credentials_config.testing.lms import LmsProcess
from tests.credentials_config.lms import school

MANY = 10_000
ALREADY = set(range(1001, 1001 + MANY - 300))


def test_memory_stays_flat_over_ten_thousand_learners_and_only_the_open_ones_are_asked_about(use_lms):
    with LmsProcess("--page-size", "100") as lms:
        lms.add_course(key=school.ALGEBRA)
        lms.enroll_many(course=school.ALGEBRA, count=MANY, completed=1.0)
        use_lms(lms)
        completions = processor("completions")
        seen, eligible, peaks = 0, 0, []
        tracemalloc.start()
        try:
            for people in chunks(completions.people(school.ALGEBRA, {}), 500):
                seen += len(people)
                still_open = [person for person in people if person.lms_user_id not in ALREADY]
                answers = completions.retrieve(school.ALGEBRA, {}, still_open)
                eligible += sum(answer.eligible for answer in answers.values())
                del people, still_open, answers
                peaks.append(tracemalloc.get_traced_memory()[0])
        finally:
            tracemalloc.stop()
        asked = {int(lms_user_id) for lms_user_id in lms.asked["completions"]}

    assert (seen, eligible) == (MANY, 300)
    assert asked == set(range(1001 + MANY - 300, 1001 + MANY))
    assert max(peaks[2:]) - peaks[2] < 1_000_000
    lms_client.close_clients()
