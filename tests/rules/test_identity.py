"""What tables and rules rely on: one short value for the source and the id of an event."""

from __future__ import annotations

import uuid

from hypothesis import example, given
from hypothesis import strategies as st

from badges.rules import event_digest


def test_the_digest_of_an_event_stays_the_same_in_every_release() -> None:
    digest = event_digest("openedx/lms/web", "6f9619ff-8b86-11d0-b42d-00c04fc964ff")
    assert str(digest) == "061ed2c0-a98e-0fbf-7a1f-1fd14db02058"


@given(st.tuples(st.text(), st.text()), st.tuples(st.text(), st.text()))
@example(("a", "bc"), ("ab", "c"))
@example(("1:a", "b"), ("1", ":ab"))
def test_events_have_the_same_digest_only_if_source_and_id_are_the_same(
    one: tuple[str, str], other: tuple[str, str]
) -> None:
    assert (event_digest(*one) == event_digest(*other)) == (one == other)


@given(st.text(), st.text())
def test_a_digest_is_a_uuid_that_every_database_takes(source: str, id: str) -> None:
    digest = event_digest(source, id)
    assert digest.variant == uuid.RESERVED_NCS
    assert digest.bytes[6] < 0x80
