"""
The plug-in ``badge``: a schedule that awards a badge instead of making a document.

Whoever is eligible gets the badge, as if a person had awarded it. The credential is available with the award, and has
no document and no mail of its own.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

from django.core.exceptions import ObjectDoesNotExist
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from badges import api as badges
from badges.exceptions import AlreadyHeldError, GrantingError, NotHeldError, TemplateNotActiveError
from credentials_config.contracts import (
    JSON,
    Assets,
    Document,
    DocumentContext,
    GenerationError,
    Generator,
    Options,
    Recipient,
    Renderer,
)

VERSION = 1
KEY = "award"

# The longest reasons that badges store.
REASON_LENGTH = 500
PUBLIC_REASON_LENGTH = 255


class BadgeGenerator(Generator):
    """Awards the badges of one template."""

    slug = "badge"
    title = gettext_lazy("Badge")
    option_help = gettext_lazy(
        "award: the slug of a badge template. Whoever is eligible gets this badge, and no document. Who holds it "
        "already keeps it."
    )

    def clean_options(self, options: Options) -> list[str]:
        slug = options.get(KEY)
        if not isinstance(slug, str) or not slug.strip():
            return [_('award: write the slug of a badge template, like "algebra-star".')]
        problem = badges.why_not_awarded(slug)
        return [f"{KEY}: {problem}"] if problem else []

    def create_renderer(self, options: Options, assets: Assets) -> BadgeRenderer:
        return BadgeRenderer(options[KEY])

    def take_back(self, recipient: Recipient, *, public_reason: str, note: str, by: Any) -> None:
        """Revoke the badge, if this credential has awarded it and it is still held. A person's decision blocks it."""
        if not recipient.given.get("awarded"):
            return
        try:
            badges.revoke(
                recipient.learner,
                recipient.given["template"],
                by=by,
                reason=public_reason[:PUBLIC_REASON_LENGTH],
                internal_reason=note[:REASON_LENGTH],
                credential_id=uuid.UUID(recipient.given["credential"]),
                now=recipient.now,
            )
        except NotHeldError:
            return

    def is_held(self, given: Mapping[str, JSON]) -> bool:
        """Return whether the badge is held, by this award or by a renewal of it."""
        return badges.status_of(uuid.UUID(given["credential"])) == "awarded"

    def is_over(self, given: Mapping[str, JSON]) -> bool:
        return badges.status_of(uuid.UUID(given["credential"])) == "expired"


class BadgeRenderer(Renderer):
    """Awards one badge to learner after learner."""

    makes_documents = False

    def __init__(self, slug: str):
        self._slug = slug
        self.made_from = {"generator": f"{BadgeGenerator.slug} {VERSION}", "assets": {}}

    def render(self, context: DocumentContext) -> Document:
        """Raise GenerationError: there is no document that a preview could show."""
        raise GenerationError(
            _("There is no document to show: learners get the badge %(badge)s.") % {"badge": self._slug}
        )

    def give(self, recipient: Recipient) -> dict[str, JSON]:
        """
        Award the badge, and return which credential of the badge it is, and whether this award made it.

        Raises GenerationError when the learner may not have it. When the template is not active, nobody gets it.
        """
        reason = f"{recipient.title}, {recipient.context_name}: {recipient.verification_code}"
        try:
            awarded = badges.award(recipient.learner, self._slug, reason=reason[-REASON_LENGTH:], now=recipient.now)
        except AlreadyHeldError as error:
            credential = str(error.credential_id)
            ours = bool(recipient.given.get("awarded")) and recipient.given.get("credential") == credential
            return {"template": self._slug, "credential": credential, "awarded": ours}
        except (TemplateNotActiveError, ObjectDoesNotExist) as error:
            raise GenerationError(badges.why_not_awarded(self._slug) or str(error), everyone=True) from error
        except GrantingError as error:
            raise GenerationError(str(error)) from error
        return {"template": self._slug, "credential": str(awarded.pk), "awarded": True}
