"""The shelf everyone reads: templates, what they demand, where they are issued."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _
from uuid6 import uuid7

from badges.fields import KeyField, UnconstrainedForeignKey


class BadgeTemplate(models.Model):
    """
    One badge that learners can earn.

    A template begins inactive, is filled with requirements, and is switched on by a designer; only active templates are
    matched against events. Saving a live template awards and revokes nothing by itself; every save that changes what it
    demands writes a ``TemplateRevision`` and bumps the ``CatalogVersion``, in the same transaction. Templates are
    archived (``archived_at``), not deleted, once anybody has made progress on them.

    ``slug`` is the stable name its author chose (packs, addresses); ``uuid`` is its name for other systems.

    .. no_pii:
    """

    uuid = models.UUIDField(_("UUID"), unique=True, default=uuid7, editable=False)
    slug = KeyField(_("slug"), max_length=150, unique=True)
    name = models.CharField(_("name"), max_length=255)
    description = models.TextField(_("description"), blank=True)
    image_url = models.URLField(_("image address"), max_length=500, blank=True)
    is_active = models.BooleanField(
        _("active"), default=False, help_text=_("Only active templates are matched against events.")
    )
    award_once = models.BooleanField(
        _("award once"),
        default=False,
        help_text=_("A learner who lost this badge to a penalty does not earn it a second time."),
    )
    archived_at = models.DateTimeField(_("archived"), null=True, blank=True, editable=False)
    created_at = models.DateTimeField(_("created"), auto_now_add=True)
    modified_at = models.DateTimeField(_("modified"), auto_now=True)

    class Meta:
        default_permissions = ()
        permissions = [
            ("view_lms_badges_badgetemplate", "Can view badge templates"),
            ("add_lms_badges_badgetemplate", "Can add badge templates"),
            ("change_lms_badges_badgetemplate", "Can change badge templates"),
            ("delete_lms_badges_badgetemplate", "Can delete badge templates"),
        ]
        verbose_name = _("badge template")
        verbose_name_plural = _("badge templates")
        ordering = ["slug"]
        indexes = [models.Index(fields=["is_active"], name="lms_badges_template_active")]

    def __str__(self) -> str:
        return self.name


class TemplateRevision(models.Model):
    """
    What a template demanded at some time: written once, never changed.

    ``document`` is the template's entry of a pack as text. Causes of fulfilments and awards cite a revision, so that an
    old decision can be explained with the rules that were in force then.

    .. no_pii:
    """

    template = models.ForeignKey(BadgeTemplate, on_delete=models.CASCADE, related_name="revisions")
    number = models.PositiveIntegerField(_("number"))
    document = models.TextField(_("document"))
    author = UnconstrainedForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    created_at = models.DateTimeField(_("created"), auto_now_add=True)

    class Meta:
        default_permissions = ()
        permissions = [
            ("view_lms_badges_templaterevision", "Can view template revisions"),
        ]
        verbose_name = _("template revision")
        verbose_name_plural = _("template revisions")
        ordering = ["template", "-number"]
        constraints = [models.UniqueConstraint(fields=["template", "number"], name="lms_badges_revision_number")]

    def __str__(self) -> str:
        return f"{self.template} #{self.number}"


class TemplateIssuer(models.Model):
    """
    A provider where a template's badges are issued too; none is fine.

    At most one row per provider: a credential has at most one badge at each provider.

    .. no_pii:
    """

    template = models.ForeignKey(BadgeTemplate, on_delete=models.CASCADE, related_name="issuers")
    provider = KeyField(_("provider"), max_length=50)
    organization = KeyField(_("organization"), max_length=255)
    external_template = KeyField(_("provider's template"), max_length=255)

    class Meta:
        default_permissions = ()
        verbose_name = _("template issuer")
        verbose_name_plural = _("template issuers")
        ordering = ["provider"]
        constraints = [models.UniqueConstraint(fields=["template", "provider"], name="lms_badges_issuer_provider")]

    def __str__(self) -> str:
        return f"{self.provider}: {self.external_template}"


class BadgeRequirement(models.Model):
    """
    Something a learner must do for a badge: an event of one type for which all data rules hold.

    Requirements with the same ``group`` are alternatives, each requirement without one stands alone, and the badge is
    complete when every group has a fulfilled member. Without data rules every event of the type counts. A removed
    requirement is archived, since fulfilments point at it; adding the same ``key`` again brings it back.

    .. no_pii:
    """

    template = models.ForeignKey(BadgeTemplate, on_delete=models.CASCADE, related_name="requirements")
    key = KeyField(_("key"), max_length=100, help_text=_("A stable name inside the template."))
    event_type = KeyField(_("event type"), max_length=255)
    group = KeyField(
        _("group"),
        max_length=100,
        null=True,
        blank=True,
        help_text=_("Requirements with the same group are alternatives: one of them is enough."),
    )
    description = models.TextField(_("description"), blank=True)
    archived_at = models.DateTimeField(_("archived"), null=True, blank=True, editable=False)

    class Meta:
        default_permissions = ()
        verbose_name = _("badge requirement")
        verbose_name_plural = _("badge requirements")
        ordering = ["template", "id"]
        constraints = [models.UniqueConstraint(fields=["template", "key"], name="lms_badges_requirement_key")]

    def __str__(self) -> str:
        return f"{self.template}: {self.key}"


class DataRule(models.Model):
    """
    A condition on one key path of the event's data; the rules of a requirement are ANDed.

    ``value`` is stored as the JSON value that the path's declared type reads (see ``badges.rules``).

    .. no_pii:
    """

    requirement = models.ForeignKey(BadgeRequirement, on_delete=models.CASCADE, related_name="rules")
    path = KeyField(_("key path"), max_length=255)
    operator = KeyField(_("operator"), max_length=50)
    value: models.JSONField[Any, Any] = models.JSONField(_("value"))

    class Meta:
        default_permissions = ()
        verbose_name = _("data rule")
        verbose_name_plural = _("data rules")
        ordering = ["requirement", "id"]

    def __str__(self) -> str:
        return f"{self.path} {self.operator} {self.value}"


class CatalogVersion(models.Model):
    """
    The one row whose number tells every process when to compile the catalog anew.

    It is bumped in the transaction of every change to a template, so that a reader who sees the change sees the number.

    .. no_pii:
    """

    id = models.PositiveSmallIntegerField(primary_key=True, default=1)
    number = models.PositiveBigIntegerField(default=0)

    class Meta:
        default_permissions = ()
        verbose_name = _("catalog version")
        verbose_name_plural = _("catalog version")
        constraints = [models.CheckConstraint(condition=models.Q(id=1), name="lms_badges_one_catalog_version")]

    def __str__(self) -> str:
        return str(self.number)
