"""What is kept of accounts at providers and of the templates there, whichever provider it is."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from badges.awarding.models import UserCredential
from badges.fields import KeyField
from badges.runs.models import Run


class ProviderOrganization(models.Model):
    """
    What is kept of an organization (an account at a provider), beside its credentials.

    Written when an organization is first seen: saved in the admin, or found in the settings by the daily sweep, the
    sync of templates or ``badges_webhook``. ``organization`` is the provider's id in its usual spelling.

    ``webhook_digest`` is the digest of the secret in the address to which the provider sends webhooks. The secret is
    shown once, when somebody makes a new address; the old address is refused from then on. Blank: there is no address.

    ``swept_until`` is the provider's time up to which its list of events was read, ``swept_at`` when that was done.

    .. no_pii:
    """

    provider = KeyField(_("provider"), max_length=50)
    organization = KeyField(_("organization"), max_length=255)
    webhook_digest = models.CharField(max_length=64, blank=True, editable=False)
    webhook_since = models.DateTimeField(_("webhook address since"), null=True, blank=True)
    swept_until = models.DateTimeField(_("events read until"), null=True, blank=True)
    swept_at = models.DateTimeField(_("events last read"), null=True, blank=True)
    synced_at = models.DateTimeField(_("templates last synced"), null=True, blank=True)
    created_at = models.DateTimeField(_("created"))

    class Meta:
        default_permissions = ()
        permissions = [
            ("view_lms_badges_providerorganization", "Can view organizations at providers"),
            ("change_lms_badges_providerorganization", "Can make webhook addresses of organizations"),
        ]
        verbose_name = _("organization at a provider")
        verbose_name_plural = _("organizations at providers")
        ordering = ["provider", "organization"]
        constraints = [
            models.UniqueConstraint(fields=["provider", "organization"], name="lms_badges_provider_organization"),
            models.CheckConstraint(
                condition=models.Q(webhook_digest="", webhook_since__isnull=True)
                | (~models.Q(webhook_digest="") & models.Q(webhook_since__isnull=False)),
                name="lms_badges_webhook_since",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.provider} {self.organization}"


class TemplateState(models.TextChoices):
    """The state of a template at its provider."""

    DRAFT = "draft", _("draft")
    ACTIVE = "active", _("active")
    ARCHIVED = "archived", _("archived")
    GONE = "gone", _("deleted")  # the provider does not know it any more


class ProviderTemplate(models.Model):
    """
    A template as its provider describes it: a copy, which the sync and webhooks write.

    It decides nothing. Which badges exist here and what they demand is said by ``BadgeTemplate``, whose issuers name
    the provider's template. The first time that the template is seen in use there, an inactive ``BadgeTemplate`` is
    made for it, unless one names it already; then ``taken_over_at`` is set. So one that staff have deleted does not
    come back. A ``BadgeTemplate`` follows name and description as long as it has those that are written here.

    ``changed_at`` is the provider's time of what is written here: older news is ignored. ``seen_in`` is the run of the
    sync that saw it last; after its last page the others are looked up one by one.

    .. no_pii:
    """

    provider = KeyField(_("provider"), max_length=50)
    organization = KeyField(_("organization"), max_length=255)
    external_id = KeyField(_("id there"), max_length=255)
    name = models.CharField(_("name"), max_length=255)
    description = models.TextField(_("description"), blank=True)
    state = models.CharField(_("state there"), max_length=10, choices=TemplateState.choices)
    image_url = models.URLField(_("image address"), max_length=500, blank=True)
    management_url = models.URLField(_("managed at"), max_length=500, blank=True)
    changed_at = models.DateTimeField(_("changed there"), null=True, blank=True)
    seen_in = models.UUIDField(null=True, blank=True, editable=False)
    taken_over_at = models.DateTimeField(_("taken over"), null=True, blank=True)
    created_at = models.DateTimeField(_("first seen"))

    class Meta:
        default_permissions = ()
        permissions = [
            ("view_lms_badges_providertemplate", "Can view templates at providers"),
        ]
        verbose_name = _("template at a provider")
        verbose_name_plural = _("templates at providers")
        ordering = ["provider", "organization", "name"]
        constraints = [
            models.UniqueConstraint(
                fields=["provider", "organization", "external_id"], name="lms_badges_provider_template"
            )
        ]

    def __str__(self) -> str:
        return f"{self.provider}: {self.name}"


class Difference(models.TextChoices):
    """How what is written here differs from what a provider has."""

    MISSING_THERE = "missing_there", _("missing there")
    MISSING_HERE = "missing_here", _("missing here")
    OTHER_STATE = "other_state", _("other state")
    OTHER_NAME = "other_name", _("other name")


class ProviderDifference(models.Model):
    """
    One difference that a reconciliation has found between a provider and what is written here.

    Written by the step of the run that found it, and never changed; deleted with the run. ``here`` and ``there`` are
    the two states, or the two names of a template. ``is_repaired``: whether the run did something about it, which a
    plan never does. A row without ``external_id`` is about a badge that the provider does not have, one without
    ``credential`` about a badge that nobody here has earned.

    .. no_pii: Holds ids of credentials and badges.
    """

    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="+", verbose_name=_("run"))
    organization = KeyField(_("organization"), max_length=255)
    external_template = KeyField(_("template there"), max_length=255)
    difference = models.CharField(_("difference"), max_length=15, choices=Difference.choices)
    credential = models.ForeignKey(
        UserCredential, on_delete=models.CASCADE, related_name="+", null=True, blank=True, verbose_name=_("credential")
    )
    external_id = KeyField(_("id there"), max_length=255, blank=True)
    here = models.CharField(_("here"), max_length=255, blank=True)
    there = models.CharField(_("there"), max_length=255, blank=True)
    is_repaired = models.BooleanField(_("repaired"), default=False)

    class Meta:
        default_permissions = ()
        permissions = [
            ("view_lms_badges_providerdifference", "Can view differences from providers"),
        ]
        verbose_name = _("difference from a provider")
        verbose_name_plural = _("differences from providers")

    def __str__(self) -> str:
        return f"{self.get_difference_display()}: {self.external_id or self.credential_id}"
