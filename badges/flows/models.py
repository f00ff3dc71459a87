"""The tables of the flows: requests that count once, and what the events of other services have told and given."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _
from uuid6 import uuid7

from badges.catalog.models import BadgeTemplate
from badges.fields import KeyField, UnconstrainedForeignKey
from badges.intake.models import Learner


class IdempotentRequest(models.Model):
    """
    A request that was sent with an ``Idempotency-Key``, and its answer.

    Written by ``flows.idempotency``. The row begins when the request begins: ``claim`` says who carries it out, until
    ``leased_until`` at the latest. The answer is written in the transaction of the decision, and clears both. Without a
    decision the row is deleted. A process that is killed leaves a row whose lease ends; the next request with the same
    key then carries it out. An answer counts for 24 hours. After that the key may be used again, and ``badges_purge``
    deletes the row.

    ``digest`` is a keyed hash of method, path and key, ``body_digest`` one of the body. So the row does not tell who
    was named in them. The answer names a person only by the UUID of the learner. A request that nobody has to sign in
    for has no ``account``; its row has the digest in ``anonymous_digest``, too, which is unique by itself.

    .. pii: The account that sent the request.
    .. pii_types: id
    .. pii_retirement: local_api
    """

    account = UnconstrainedForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, null=True, related_name="+")
    digest = KeyField(max_length=64)
    anonymous_digest = KeyField(max_length=64, null=True, unique=True)
    body_digest = KeyField(max_length=64)
    claim = models.UUIDField(null=True, editable=False)
    leased_until = models.DateTimeField(null=True)
    status = models.PositiveSmallIntegerField(_("status"), null=True)
    answer = models.TextField(_("answer"), null=True)
    created_at = models.DateTimeField(_("created"))

    class Meta:
        default_permissions = ()
        verbose_name = _("idempotent request")
        verbose_name_plural = _("idempotent requests")
        constraints = [
            models.UniqueConstraint(fields=["account", "digest"], name="lms_badges_request_once"),
            models.CheckConstraint(
                condition=models.Q(
                    claim__isnull=False, leased_until__isnull=False, status__isnull=True, answer__isnull=True
                )
                | models.Q(claim__isnull=True, leased_until__isnull=True, status__isnull=False, answer__isnull=False),
                name="lms_badges_request_runs_or_is_answered",
            ),
        ]
        indexes = [models.Index(fields=["created_at"], name="lms_badges_request_created")]

    def __str__(self) -> str:
        return self.digest


class Registration(models.Model):
    """
    An account that was registered here (``POST /api/users/v1/users``), and by which e-mail address.

    Written by ``flows.account_creation`` in the transaction that makes the account, its learner and the event. The
    unique hash of the address makes two registrations of one address impossible, also at the same time: the table of
    accounts is the host's, and may hold an address twice. The row counts while its account has that address; it is
    deleted when somebody else registers the address after that. ``badges.api.retire`` deletes the row of a person.

    ``email_digest`` is a keyed hash of the address in its normal form (``flows.account_creation.normal_form``).

    .. pii: A hash by which somebody with the keys can tell whether an address was registered.
    .. pii_types: email_address
    .. pii_retirement: local_api
    """

    email_digest = KeyField(max_length=64, unique=True, editable=False)
    learner = models.OneToOneField(Learner, on_delete=models.PROTECT, related_name="+", verbose_name=_("learner"))
    registered_at = models.DateTimeField(_("registered"))

    class Meta:
        default_permissions = ()
        permissions = [("view_lms_badges_registration", "Can view registrations")]
        verbose_name = _("registration")
        verbose_name_plural = _("registrations")

    def __str__(self) -> str:
        return str(self.pk)


class FromEvent(models.Model):
    """
    A row that an event of another service has caused.

    ``event_source`` and ``event_id`` identify the event; ``event_time`` is when it happened, by its sender.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    learner = models.ForeignKey(Learner, on_delete=models.PROTECT, related_name="+", verbose_name=_("learner"))
    event_source = KeyField(_("event source"), max_length=255)
    event_id = KeyField(_("event id"), max_length=255)
    event_time = models.DateTimeField(_("event time"))
    received_at = models.DateTimeField(_("received"))

    class Meta:
        abstract = True


class StickerClaim(FromEvent):
    """
    A learner has claimed a badge at another service.

    Written by the handler of ``users.stickerClaimed.v1`` (``badges.flows.claims``), once for each learner and template:
    an event that comes again finds the row and changes nothing. How many badges a learner has claimed is the number of
    these rows. A claim stays when the badge is revoked. ``badges.api.retire`` deletes the rows of a person.

    .. pii: The id of the event may be a digest of the account id.
    .. pii_types: id
    .. pii_retirement: local_api
    """

    template = models.ForeignKey(
        BadgeTemplate, on_delete=models.PROTECT, related_name="claims", verbose_name=_("template")
    )

    class Meta:
        default_permissions = ()
        permissions = [("view_lms_badges_stickerclaim", "Can view claims of badges")]
        verbose_name = _("claim of a badge")
        verbose_name_plural = _("claims of badges")
        constraints = [models.UniqueConstraint(fields=["learner", "template"], name="lms_badges_one_claim")]

    def __str__(self) -> str:
        return str(self.pk)


class CertificationMapping(models.Model):
    """
    Who completes a certification of another service gets a badge.

    Staff write it in the admin; one certification may give several badges, and one badge may be given by several
    certifications. A change concerns events that arrive afterwards. Badges that were awarded stay.

    .. no_pii:
    """

    certification_id = KeyField(
        _("certification id"), max_length=255, help_text=_("The id of the certification at the other service.")
    )
    template = models.ForeignKey(
        BadgeTemplate, on_delete=models.PROTECT, related_name="certifications", verbose_name=_("template")
    )
    created_at = models.DateTimeField(_("created"), auto_now_add=True)

    class Meta:
        default_permissions = ()
        permissions = [
            ("view_lms_badges_certificationmapping", "Can view certification mappings"),
            ("add_lms_badges_certificationmapping", "Can add certification mappings"),
            ("change_lms_badges_certificationmapping", "Can change certification mappings"),
            ("delete_lms_badges_certificationmapping", "Can delete certification mappings"),
        ]
        verbose_name = _("certification mapping")
        verbose_name_plural = _("certification mappings")
        constraints = [
            models.UniqueConstraint(fields=["certification_id", "template"], name="lms_badges_one_mapping"),
            models.CheckConstraint(condition=~models.Q(certification_id=""), name="lms_badges_mapping_filled"),
        ]

    def __str__(self) -> str:
        return self.certification_id


class CertificationCompletion(FromEvent):
    """
    A learner has completed a certification of another service.

    Written by the handler of ``certifications.certificationCompleted.v1`` (``badges.flows.certifications``) when the
    learner is known, whether or not there is a mapping; once for each learner and certification. ``event_time`` is when
    the certification was completed. ``badges.api.retire`` deletes the rows of a person.

    .. pii: What a person has completed at another service.
    .. pii_types: other
    .. pii_retirement: local_api
    """

    certification_id = KeyField(_("certification id"), max_length=255)

    class Meta:
        default_permissions = ()
        permissions = [("view_lms_badges_certificationcompletion", "Can view completed certifications")]
        verbose_name = _("completed certification")
        verbose_name_plural = _("completed certifications")
        constraints = [
            models.UniqueConstraint(fields=["learner", "certification_id"], name="lms_badges_one_completion")
        ]
        indexes = [models.Index(fields=["certification_id"], name="lms_badges_completion_of")]

    def __str__(self) -> str:
        return str(self.pk)


class CertificationAward(FromEvent):
    """
    A badge was given to a learner because of a completed certification, or the learner held it then.

    Written with the award, once for each learner and template. So neither an event that comes again nor a second
    certification gives a badge again that the learner has lost since. ``badges.api.retire`` deletes the rows of a
    person.

    .. pii: That a person has completed a certification that gives this badge.
    .. pii_types: other
    .. pii_retirement: local_api
    """

    template = models.ForeignKey(BadgeTemplate, on_delete=models.PROTECT, related_name="+", verbose_name=_("template"))

    class Meta:
        default_permissions = ()
        permissions = [("view_lms_badges_certificationaward", "Can view badges given by certifications")]
        verbose_name = _("badge given by a certification")
        verbose_name_plural = _("badges given by certifications")
        constraints = [
            models.UniqueConstraint(fields=["learner", "template"], name="lms_badges_one_certification_award")
        ]

    def __str__(self) -> str:
        return str(self.pk)


class WelcomeAward(FromEvent):
    """
    The welcome badge was given to a learner, or the learner held it then.

    Written by the handler of ``users.userRegistered.v1`` (``badges.flows.registrations``) with the award, once for each
    learner, whatever the setting names later. ``badges.api.retire`` deletes the row of a person.

    .. pii: The id of the event, which is about a person.
    .. pii_types: id
    .. pii_retirement: local_api
    """

    template = models.ForeignKey(BadgeTemplate, on_delete=models.PROTECT, related_name="+", verbose_name=_("template"))

    class Meta:
        default_permissions = ()
        permissions = [("view_lms_badges_welcomeaward", "Can view welcome badges")]
        verbose_name = _("welcome badge")
        verbose_name_plural = _("welcome badges")
        constraints = [models.UniqueConstraint(fields=["learner"], name="lms_badges_one_welcome")]

    def __str__(self) -> str:
        return str(self.pk)
