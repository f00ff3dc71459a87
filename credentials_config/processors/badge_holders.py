"""Finds who holds badges."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from badges import api as badges
from badges.common.person_names import full_name_of
from credentials_config import lms
from credentials_config.context_keys import Kind, kind_of
from credentials_config.contracts import JSON, Eligibility, Options, Person
from credentials_config.lms.chunks import chunks
from credentials_config.processors.base import SteppedProcessor

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractUser

KEY = "badges"
CHUNK_SIZE = 500


class BadgeHolders(SteppedProcessor):
    """
    Finds everyone who holds all of the badges. The context may be any; it only says what the credential is for.

    Except in pathways, holders need not be enrolled.
    """

    slug = "badge_holders"
    title = gettext_lazy("Badges held")
    option_help = gettext_lazy(
        'badges: the slug of a badge template, or a list of slugs: ["algebra-star", "geometry-star"]; all must be held.'
        "\n"
        "steps: for pathways, what is different in a step."
    )
    option_keys = frozenset({KEY})

    def option_errors(self, options: Options) -> list[str]:
        slugs = _slugs(options)
        if not slugs or not all(isinstance(slug, str) and slug.strip() for slug in slugs):
            return [_("badges: write the slug of a badge template, or a list of slugs.")]
        return []

    def people(self, context_key: str, options: Options) -> Iterator[Person]:
        if kind_of(context_key) is Kind.PATHWAY:
            yield from super().people(context_key, options)
            return
        # Whoever holds all badges holds the first. Ordered by id, so that a new row does not move the others.
        holders = badges.holders_of(_slugs(options)[0]).filter(learner__lms_user_id__isnull=False).order_by("id")
        for chunk in chunks(holders.iterator(chunk_size=CHUNK_SIZE), CHUNK_SIZE):
            accounts = ((row.learner.lms_user_id, row.learner.user) for row in chunk)
            yield from _people([_account(key, user) for key, user in accounts if key is not None])

    def evaluate(self, context_key: str, options: Options, learners: Collection[Person]) -> dict[int, Eligibility]:
        slugs = _slugs(options)
        held: dict[int, set[str]] = {person.lms_user_id: set() for person in learners}
        for slug in slugs:
            for chunk in chunks(held, CHUNK_SIZE):
                holders = badges.holders_of(slug).filter(learner__lms_user_id__in=chunk)
                for lms_user_id in holders.values_list("learner__lms_user_id", flat=True):
                    if lms_user_id is not None:
                        held[lms_user_id].add(slug)
        return {lms_user_id: _eligibility(slugs, held_badges) for lms_user_id, held_badges in held.items()}


def _slugs(options: Options) -> list[JSON]:
    given = options.get(KEY)
    slugs = given if isinstance(given, list) else [given] if given else []
    return [slug for at, slug in enumerate(slugs) if slug not in slugs[:at]]


def _eligibility(slugs: list[str], held: set[str]) -> Eligibility:
    missing = [slug for slug in slugs if slug not in held]
    progress = {"held_badges": [slug for slug in slugs if slug in held], "required_badges": slugs}
    return Eligibility(not missing, progress, tuple(_("The badge %s is not held.") % slug for slug in missing))


def _people(holders: list[Person]) -> Iterator[Person]:
    """
    Yield holders with the names and addresses that the LMS has now.

    Where no LMS is configured, or it does not know somebody, those of the account here are used.
    """
    in_lms: dict[int, Person] = {}
    if lms.is_configured():
        found = lms.client().find(usernames=[person.username for person in holders if person.username])
        in_lms = {person.lms_user_id: person for person in found}
    for person in holders:
        yield in_lms.get(person.lms_user_id, person)


def _account(lms_user_id: int, user: AbstractUser | None) -> Person:
    if user is None:  # the account was deleted, but not the badge
        return Person(lms_user_id, "")
    return Person(lms_user_id, user.get_username(), user.email, full_name_of(user))
