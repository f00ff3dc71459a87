"""
Who is eligible and has no credential yet, chunk by chunk.

People who have, or had, a credential of the configuration are left out before the LMS is asked. That holds also when
their credential was taken back or has expired: a schedule that gave it again would undo what was decided. Staff may
still issue one by hand.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import TypeVar

from badges.exceptions import Permanent
from credentials_config import lms, registry
from credentials_config.conf import config
from credentials_config.contracts import JSON, Context, Eligibility, Person, Processor
from credentials_config.issuing.renderers import options_of
from credentials_config.models import Credential, CredentialConfiguration

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class PersonEligibility:
    """A person, and whether they are eligible. ``holds``: the status of the credential they have or had, or blank."""

    person: Person
    eligibility: Eligibility
    holds: str = ""


class Search:
    """The search for the learners of a configuration. Raises Permanent, with the remedy, when that cannot be done."""

    def __init__(self, configuration: CredentialConfiguration):
        self.configuration = configuration
        self.options: dict[str, JSON] = options_of(configuration)
        self.processor: Processor = registry.processor(configuration.credential_type.processor)
        if not self.processor.supports(configuration.context_key):
            raise Permanent(
                f"The processor {self.processor.slug!r} knows no contexts like {configuration.context_key!r}. "
                "Choose another type or another context."
            )
        if findings := self.processor.clean_options(self.options):
            raise Permanent("The options cannot be used: " + "; ".join(map(str, findings)))

    def context(self) -> Context:
        """Return the context's name and dates as they are now."""
        return lms.client().context(self.configuration.context_key)

    def chunks(self, *, everyone: bool = False) -> Iterator[tuple[int, list[PersonEligibility]]]:
        """
        Yield for each chunk how many people were looked at, and the findings on those who have no credential.

        ``everyone``: with findings on those who have one too, for a report. Raises Retryable when the LMS does not
        answer.
        """
        for people in chunked(self._people(), int(config.issuing["chunk"])):
            holders = self.holders(people)
            asked = people if everyone else [person for person in people if person.lms_user_id not in holders]
            yield len(people), self._ask(asked, holders)

    def ask(self, people: Collection[Person]) -> list[PersonEligibility]:
        """Return the findings on these people, whether they have a credential or not."""
        return self._ask(people, self.holders(people))

    def holders(self, people: Iterable[Person]) -> dict[int, str]:
        """Return the status of the newest credential of those who have or had one, by LMS user id."""
        ids = [person.lms_user_id for person in people]
        rows = Credential.objects.filter(configuration=self.configuration, learner__lms_user_id__in=ids)
        known = rows.order_by("issued_at", "id").values_list("learner__lms_user_id", "status")
        return {lms_user_id: status for lms_user_id, status in known if lms_user_id is not None}

    def _people(self) -> Iterator[Person]:
        return self.processor.people(self.configuration.context_key, self.options)

    def _ask(self, people: Collection[Person], holders: dict[int, str]) -> list[PersonEligibility]:
        if not people:
            return []
        answers = self.processor.retrieve(self.configuration.context_key, self.options, list(people))
        no_answer = Eligibility(False, reasons=("The processor said nothing about this learner.",))
        return [
            PersonEligibility(person, answers.get(person.lms_user_id, no_answer), holders.get(person.lms_user_id, ""))
            for person in people
        ]


def chunked(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """Yield lists of at most ``size`` items, without holding more than one of them."""
    iterator = iter(items)
    while chunk := list(islice(iterator, size)):
        yield chunk
