"""Credly's organizations and the badges issued there."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from badges.awarding.models import UserCredential
from badges.fields import EncryptedField, KeyField
from badges.issuers.secrets import decrypt, encrypt


class CredlyOrganization(models.Model):
    """
    An account at Credly in whose name badges are issued.

    Entered by an operator. Organizations listed in ``LMS_BADGES_CONFIG["credly"]["ORGANIZATIONS"]`` need no row, and
    win over one. The token is stored encrypted and never shown again.

    .. no_pii:
    """

    uuid = models.UUIDField(_("organization id"), unique=True)
    name = models.CharField(_("name"), max_length=255, blank=True)
    encrypted_token = EncryptedField(_("token"))

    class Meta:
        default_permissions = ()
        permissions = [
            ("view_lms_badges_credlyorganization", "Can view Credly organizations"),
            ("add_lms_badges_credlyorganization", "Can add Credly organizations"),
            ("change_lms_badges_credlyorganization", "Can change Credly organizations"),
            ("delete_lms_badges_credlyorganization", "Can delete Credly organizations"),
        ]
        verbose_name = _("Credly organization")
        verbose_name_plural = _("Credly organizations")

    def __str__(self) -> str:
        return self.name or str(self.uuid)

    @property
    def token(self) -> str:
        """The token in clear; Permanent when no key of this installation reads it."""
        return decrypt(self.encrypted_token) if self.encrypted_token else ""

    @token.setter
    def token(self, token: str) -> None:
        self.encrypted_token = encrypt(token) if token else ""


class CredlyState(models.TextChoices):
    """Credly's states of a badge, and some of our own."""

    CREATED = "created", _("to be issued")  # our own: written with the award, nobody asked Credly yet
    NO_RESPONSE = (
        "no_response",
        _("no answer yet"),
    )  # our own: asked, the outcome is uncertain; looked up before the next try
    # our own: refused for good (the outbox row says why), or to be looked up before it is asked for
    ERROR = "error", _("error")
    PENDING = "pending", _("pending")
    ACCEPTED = "accepted", _("accepted")
    REJECTED = "rejected", _("rejected")
    REVOKED = "revoked", _("revoked")
    REPLACED = "replaced", _("replaced at Credly")
    DELETED = "deleted", _("deleted at Credly")  # our own: an event of Credly says so


# The learner does not hold such a badge at Credly any more, and nothing can be done about it there.
ENDED_STATES = (CredlyState.REVOKED, CredlyState.REPLACED, CredlyState.DELETED)


class CredlyBadge(models.Model):
    """
    A credential's badge at Credly.

    Written with the award in state ``created``, in the same transaction; the delivery task fills ``external_uuid`` and
    ``state``. ``organization`` and ``external_template`` are blank until Credly is asked: the badge goes where its
    template says at that time. They are written right before Credly is asked, stay while the outcome is unknown, and
    are blank again after a refusal.

    Shares the id of its credential: one badge per credential, and one credential per badge (``external_uuid`` is
    unique). ``issued_at`` is the time Credly was told, which is that of the award; the times of delivery are in the
    outbox.

    What Credly tells of the badge, by webhooks and its list of events, changes ``state`` and nothing else: the
    credential falls by penalties and people only. ``state_at`` is Credly's time of the state: older news changes
    nothing.

    .. no_pii: Holds Credly's id of the badge.
    """

    credential = models.OneToOneField(
        UserCredential, on_delete=models.CASCADE, primary_key=True, related_name="credly_badge"
    )
    organization = KeyField(_("organization"), max_length=255, blank=True)
    external_template = KeyField(_("Credly's template"), max_length=255, blank=True)
    external_uuid = models.UUIDField(_("Credly's badge"), null=True, blank=True, unique=True)
    state = models.CharField(_("state"), max_length=15, choices=CredlyState.choices, default=CredlyState.CREATED)
    state_at = models.DateTimeField(_("state since"), null=True, blank=True)
    issued_at = models.DateTimeField(_("issued"), null=True, blank=True)
    url = models.URLField(_("address"), max_length=500, blank=True)

    class Meta:
        default_permissions = ()
        permissions = [
            ("view_lms_badges_credlybadge", "Can view Credly badges"),
        ]
        constraints = [
            # While Credly was asked and the outcome is not known, the badge is looked up where it was asked for.
            models.CheckConstraint(
                condition=models.Q(state__in=["created", "error"]) | ~models.Q(organization=""),
                name="lms_badges_credlybadge_bound",
            )
        ]
        verbose_name = _("Credly badge")
        verbose_name_plural = _("Credly badges")

    def __str__(self) -> str:
        return str(self.external_uuid or self.credential_id)
