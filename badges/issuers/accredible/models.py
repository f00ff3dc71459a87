"""Accredible's organizations and the badges issued there."""

from __future__ import annotations

from django.core.validators import RegexValidator
from django.db import models
from django.utils.translation import gettext_lazy as _

from badges.awarding.models import UserCredential
from badges.fields import EncryptedField, KeyField
from badges.issuers.secrets import decrypt, encrypt

# An organization's slug becomes part of circuits and of our addresses.
SLUG_PATTERN = r"[A-Za-z0-9_-]{1,100}"


class AccredibleOrganization(models.Model):
    """
    An API configuration: a key by which badges are issued at Accredible.

    Entered by an operator, who chooses the slug by which templates name it. Accredible has no id for it: a key may be
    that of a whole account or of one department. Organizations listed in
    ``LMS_BADGES_CONFIG["accredible"]["ORGANIZATIONS"]`` need no row, and win over one. The key is stored encrypted and
    never shown again, and so is the secret that signs webhooks, if there is one.

    .. no_pii:
    """

    slug = KeyField(
        _("slug"),
        max_length=100,
        unique=True,
        validators=[RegexValidator(rf"^{SLUG_PATTERN}\Z", _("Use letters A to Z, digits, hyphens and underscores."))],
        help_text=_("The issuers of templates name the organization by it. Choose any."),
    )
    name = models.CharField(_("name"), max_length=255, blank=True)
    encrypted_key = EncryptedField(_("API key"))
    encrypted_webhook_secret = EncryptedField(_("webhook secret"))

    class Meta:
        default_permissions = ()
        permissions = [
            ("view_lms_badges_accredibleorganization", "Can view Accredible organizations"),
            ("add_lms_badges_accredibleorganization", "Can add Accredible organizations"),
            ("change_lms_badges_accredibleorganization", "Can change Accredible organizations"),
            ("delete_lms_badges_accredibleorganization", "Can delete Accredible organizations"),
        ]
        verbose_name = _("Accredible organization")
        verbose_name_plural = _("Accredible organizations")

    def __str__(self) -> str:
        return self.name or self.slug

    @property
    def api_key(self) -> str:
        """The key in clear; Permanent when no key of this installation reads it."""
        return decrypt(self.encrypted_key) if self.encrypted_key else ""

    @api_key.setter
    def api_key(self, api_key: str) -> None:
        self.encrypted_key = encrypt(api_key) if api_key else ""

    @property
    def webhook_secret(self) -> str:
        """The secret that signs its webhooks, in clear; Permanent when no key of this installation reads it."""
        return decrypt(self.encrypted_webhook_secret) if self.encrypted_webhook_secret else ""

    @webhook_secret.setter
    def webhook_secret(self, secret: str) -> None:
        self.encrypted_webhook_secret = encrypt(secret) if secret else ""


class AccredibleState(models.TextChoices):
    """The states of a badge at Accredible, which has credentials and no states of its own; the first three are ours."""

    CREATED = "created", _("to be issued")  # written with the award, nobody asked Accredible yet
    NO_RESPONSE = "no_response", _("no answer yet")  # asked, the outcome is uncertain; looked up before the next try
    ERROR = "error", _("error")  # refused for good (the outbox row says why), or to be looked up before it is asked for
    PENDING = "pending", _("not published")  # it is there and not published, such as for want of credits
    ACCEPTED = "accepted", _("published")
    EXPIRED = "expired", _("expired")  # it has come to its end there, or its credential has a newer one
    REVOKED = "revoked", _("revoked")  # it was taken back here: its end there was set to that day
    DELETED = "deleted", _("deleted")  # it is not there any more, such as after its learner was retired


# The learner does not hold such a badge at Accredible any more.
ENDED_STATES = (AccredibleState.EXPIRED, AccredibleState.REVOKED, AccredibleState.DELETED)


class AccredibleBadge(models.Model):
    """
    A credential's badge at Accredible.

    Written with the award in state ``created``, in the same transaction; the delivery task fills ``external_id`` and
    ``state``. ``organization`` and ``external_template`` (a group there) are blank until Accredible is asked: the badge
    goes where its template says at that time. They are written right before Accredible is asked, stay while the outcome
    is unknown, and are blank again after a refusal.

    Shares the id of its credential: one badge per credential, and one credential per badge (the pair of
    ``organization`` and ``external_id`` is unique). Where Accredible allows one badge of a group for each person, the
    badge of a credential that has ended is renewed, and passes to the row of the new credential. ``issued_at`` is the
    time Accredible was told, of which it keeps the day.

    What Accredible tells of the badge changes ``state`` and nothing else: the credential falls by penalties and people
    only. ``state_at`` is when the state was written or asked for: what was asked for earlier changes nothing.

    .. no_pii: Holds Accredible's id of the badge.
    """

    credential = models.OneToOneField(
        UserCredential, on_delete=models.CASCADE, primary_key=True, related_name="accredible_badge"
    )
    organization = KeyField(_("organization"), max_length=255, blank=True)
    external_template = KeyField(_("Accredible's group"), max_length=255, blank=True)
    external_id = KeyField(_("Accredible's credential"), max_length=100, null=True, blank=True)
    state = models.CharField(
        _("state"), max_length=15, choices=AccredibleState.choices, default=AccredibleState.CREATED
    )
    state_at = models.DateTimeField(_("state since"), null=True, blank=True)
    issued_at = models.DateTimeField(_("issued"), null=True, blank=True)
    url = models.URLField(_("address"), max_length=500, blank=True)

    class Meta:
        default_permissions = ()
        permissions = [
            ("view_lms_badges_accrediblebadge", "Can view Accredible badges"),
        ]
        constraints = [
            models.UniqueConstraint(fields=["organization", "external_id"], name="lms_badges_accrediblebadge_external"),
            # While Accredible was asked and the outcome is not known, the badge is looked up where it was asked for.
            models.CheckConstraint(
                condition=models.Q(state__in=["created", "error"]) | ~models.Q(organization=""),
                name="lms_badges_accrediblebadge_bound",
            ),
        ]
        verbose_name = _("Accredible badge")
        verbose_name_plural = _("Accredible badges")

    def __str__(self) -> str:
        return str(self.external_id or self.credential_id)
