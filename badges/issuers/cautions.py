"""What a template most likely does not mean, also where its badges are issued."""

from __future__ import annotations

from badges.catalog.cautions import cautions
from badges.catalog.documents import Document, Problem
from badges.exceptions import Permanent
from badges.issuers import registry


def cautions_of(document: Document) -> list[Problem]:
    """
    Return the cautions of the catalog, and a caution for each organization that nobody has entered here.

    One statement for each provider of the document.
    """
    return [*cautions(document), *_unknown_organizations(document)]


def _unknown_organizations(document: Document) -> list[Problem]:
    """Return at which organizations badges are to be issued that are not known here. The badges would wait."""
    found = []
    for index, target in enumerate(document["issuers"]):
        try:
            issuer = registry.get(target["provider"])
        except Permanent:
            continue
        known = issuer.organizations()
        if (known or issuer.can_sync) and issuer.organization_id(target["organization"]) not in known:
            message = f"no organization of {target['provider']} has this id here; add it, or correct the id"
            found.append(Problem(f"issuers[{index}].organization", message))
    return found
