"""Who holds badges."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from badges import api as badges
from credentials_config import lms
from credentials_config.contexts import Kind, kind_of
from credentials_config.contracts import Eligibility, Options, Person
from credentials_config.lms.chunks import chunks
from credentials_config.processors.base import SteppedProcessor

KEY = "badges"
AT_ONCE = 500


class BadgeHolders(SteppedProcessor):
    """
    Whoever holds all of the badges; the context says what the credential is for, and may be any.

    Outside of pathways nobody needs to be enrolled: the badge is what counts.
    """

    slug = "badge_holders"
    title = gettext_lazy("Badges held")
    option_help = gettext_lazy(
        'badges: the slug of a badge template, or a list of slugs: ["algebra-star", "geometry-star"]; all must be held.'
        "\n"
        "steps: for pathways, what is different in a step."
    )
    option_keys = frozenset({KEY})

    def findings(self, options: Options) -> list[str]:
        slugs = _slugs(options)
        if not slugs or not all(isinstance(slug, str) and slug.strip() for slug in slugs):
            return [_("badges: write the slug of a badge template, or a list of slugs.")]
        return []

    def people(self, context_key: str, options: Options) -> Iterator[Person]:
        if kind_of(context_key) is Kind.PATHWAY:
            yield from super().people(context_key, options)
            return
        # Nobody holds all who does not hold the first. By id, so that a row that comes meanwhile moves no other.
        holders = badges.holders_of(_slugs(options)[0]).filter(learner__lms_user_id__isnull=False).order_by("id")
        for some in chunks(holders.iterator(chunk_size=AT_ONCE), AT_ONCE):
            yield from _people([row.learner for row in some])

    def judge(self, context_key: str, options: Options, learners: Collection[Person]) -> dict[int, Eligibility]:
        slugs = _slugs(options)
        held: dict[int, set[str]] = {person.lms_user_id: set() for person in learners}
        for slug in slugs:
            for some in chunks(held, AT_ONCE):
                holders = badges.holders_of(slug).filter(learner__lms_user_id__in=some)
                for lms_user_id in holders.values_list("learner__lms_user_id", flat=True):
                    if lms_user_id is not None:
                        held[lms_user_id].add(slug)
        return {lms_user_id: _judged(slugs, its_badges) for lms_user_id, its_badges in held.items()}


def _slugs(options: Options) -> list[Any]:
    given = options.get(KEY)
    slugs = given if isinstance(given, list) else [given] if given else []
    return [slug for at, slug in enumerate(slugs) if slug not in slugs[:at]]


def _judged(slugs: list[str], held: set[str]) -> Eligibility:
    missing = [slug for slug in slugs if slug not in held]
    progress = {"held_badges": [slug for slug in slugs if slug in held], "required_badges": slugs}
    return Eligibility(not missing, progress, tuple(_("The badge %s is not held.") % slug for slug in missing))


def _people(learners: list[Any]) -> Iterator[Person]:
    """Yield holders as the LMS names them now; as the accounts here do, where the LMS cannot be asked or has none."""
    here = {learner.lms_user_id: _account(learner) for learner in learners}
    there: dict[int, Person] = {}
    if lms.is_configured():
        found = lms.client().find(usernames=[person.username for person in here.values() if person.username])
        there = {person.lms_user_id: person for person in found}
    for lms_user_id, person in here.items():
        yield there.get(lms_user_id, person)


def _account(learner: Any) -> Person:
    user = learner.user
    if user is None:  # the account is gone, the badge is not
        return Person(learner.lms_user_id, "")
    return Person(learner.lms_user_id, user.get_username(), user.email, user.get_full_name())
