"""Writing what providers say, whichever way it came: by webhooks, the list of events or the list of templates."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Sequence

from badges.database import in_transaction
from badges.issuers.base import BadgeFact, Fact, Issuer, TemplateFact
from badges.issuers.templates import write_templates

STATES = "states of badges"


def write_facts(issuer: Issuer, organization: str, facts: Sequence[Fact], *, now: dt.datetime) -> Counter[str]:
    """
    Write what a provider says about badges and templates of an organization, in one transaction; return the outcomes.

    Safe to repeat, and in any order: what is older than what is written here changes nothing. The number of statements
    does not depend on the number of facts.
    """
    templates = [fact for fact in facts if isinstance(fact, TemplateFact)]
    badges = [fact for fact in facts if isinstance(fact, BadgeFact)]

    def write() -> Counter[str]:
        # The templates first: they take the lock of editors, which is a write.
        outcomes = write_templates(issuer, organization, templates, now=now) if templates else Counter()
        outcomes[STATES] = issuer.write_badges(organization, badges, now=now) if badges else 0
        return +outcomes

    return in_transaction(write)
