"""Badge templates with their requirements, data rules, issuers and revisions."""

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

    A template begins inactive. A designer adds requirements and activates it. Only active templates are matched against
    events. Saving a template awards and revokes nothing. Every save that changes it writes a ``TemplateRevision`` and a
    new ``CatalogVersion`` number, in the same transaction. A template on which a learner has made progress is archived
    (``archived_at``), not deleted.

    What the template demands is in the document of ``current_revision`` alone. The other columns, and the rows of
    issuers, requirements and data rules, repeat the document for lists, filters and foreign keys. Only
    ``catalog.editing`` writes them.

    ``slug`` is the stable name that its author chose, for packs and addresses. ``uuid`` identifies it in other systems.

    .. no_pii:
    """

    uuid = models.UUIDField(_("UUID"), unique=True, default=uuid7, editable=False)
    slug = KeyField(_("slug"), max_length=150, unique=True)
    name = models.CharField(_("name"), max_length=255)
    description = models.TextField(_("description"), blank=True)
    image_url = models.URLField(_("image address"), max_length=500, blank=True)
    # The image that a provider has for the template. The sync writes it; it is no part of the document.
    provider_image_url = models.URLField(
        _("provider's image"), max_length=500, blank=True, default="", db_default="", editable=False
    )
    is_active = models.BooleanField(
        _("active"), default=False, help_text=_("Only active templates are matched against events.")
    )
    award_once = models.BooleanField(
        _("award once"),
        default=False,
        help_text=_("A learner who lost this badge to a penalty does not earn it a second time."),
    )
    # It is null only until the first revision is written. The revision has a foreign key to the template, too: before
    # both are deleted, this one is set to null.
    current_revision = models.ForeignKey(
        "TemplateRevision", on_delete=models.SET_NULL, null=True, blank=True, editable=False, related_name="+"
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
            ("backfill_lms_badges_badgetemplate", "Can give badges for what happened before"),
        ]
        verbose_name = _("badge template")
        verbose_name_plural = _("badge templates")
        ordering = ["slug"]
        indexes = [models.Index(fields=["is_active"], name="lms_badges_template_active")]

    def __str__(self) -> str:
        return self.name

    @property
    def shown_image_url(self) -> str:
        """The address of the image to show: the template's own, or else its provider's. Blank: there is none."""
        return self.image_url or self.provider_image_url


class TemplateRevision(models.Model):
    """
    A version of a template. The row is written when the template changes, and never changed.

    ``document`` is the text of the template's pack entry, and ``is_active`` repeats what it says. Causes of fulfilments
    and awards point at a revision. So an old decision can be explained with the rules of that time.

    Processes keep the compiled document by ``uuid``. A number of the database could be used again after a rollback.

    .. no_pii:
    """

    template = models.ForeignKey(BadgeTemplate, on_delete=models.CASCADE, related_name="revisions")
    number = models.PositiveIntegerField(_("number"))
    uuid = models.UUIDField(_("UUID"), unique=True, default=uuid7, editable=False)
    document = models.TextField(_("document"))
    is_active = models.BooleanField(_("active"), default=False, editable=False)
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
    A provider at which the badges of a template are issued, too. A template may have none.

    There is at most one row per provider, because a credential has at most one badge at each provider. Saving a
    template writes, changes and deletes these rows.

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
    A requirement of a badge: an event of one type for which all data rules hold.

    Requirements with the same ``group`` are alternatives. A requirement without a group is a group of its own. The
    badge is complete when every group has a fulfilled member. Without data rules every event of the type counts.

    The criteria document of a template has a row, too, with the reserved key ``criteria`` and without event type, group
    and data rules. The revision holds the document. ``counts_from`` is the moment from which on events count for the
    document, by the time at which they arrive. It is written when the template is saved as active for the first time
    with a document, and stays as it is when the document is edited or the template is switched off and on. A backfill
    moves it back. It is null before that, and after the document was removed.

    ``may_be_reset`` is set as soon as a penalty of the template names the requirement, and stays: times of penalties
    may be stored from then on (``progress.models.RequirementReset``). The pipeline reads these times only where it is
    set.

    A removed requirement is archived, because fulfilments point at it. Adding the same ``key`` again restores it.

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
    counts_from = models.DateTimeField(_("events count from"), null=True, blank=True, editable=False)
    may_be_reset = models.BooleanField(_("may be reset"), default=False, db_default=False, editable=False)

    class Meta:
        default_permissions = ()
        verbose_name = _("badge requirement")
        verbose_name_plural = _("badge requirements")
        ordering = ["template", "id"]
        constraints = [
            models.UniqueConstraint(fields=["template", "key"], name="lms_badges_requirement_key"),
            models.CheckConstraint(
                condition=models.Q(key="criteria", event_type="", group=None)
                | ~models.Q(key="criteria") & ~models.Q(event_type=""),
                name="lms_badges_requirement_criteria",
            ),
            # Other requirements count from the moment at which an active template has them.
            models.CheckConstraint(
                condition=models.Q(key="criteria") | models.Q(counts_from=None),
                name="lms_badges_requirement_counts_from",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.template}: {self.key}"


class DataRule(models.Model):
    """
    A condition on one key path of the event's data. All rules of a requirement must hold.

    ``value`` is a JSON value of the type that the key path has (see ``badges.rules``). A change of the rules of a
    requirement replaces its rows.

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


class BadgePenalty(models.Model):
    """
    A penalty of a badge: an event of one type for which all data rules hold resets requirements of the same template.

    Without data rules every event of the type counts. The criteria document is named as a requirement is, by its row.

    The revision holds the penalty. A change of a template's penalties replaces these rows, as nothing points at them.

    .. no_pii:
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    template = models.ForeignKey(BadgeTemplate, on_delete=models.CASCADE, related_name="penalties")
    event_type = KeyField(_("event type"), max_length=255)
    requirements: models.ManyToManyField[BadgeRequirement, Any] = models.ManyToManyField(
        BadgeRequirement, through="PenaltyRequirement", related_name="penalties", verbose_name=_("requirements")
    )

    class Meta:
        default_permissions = ()
        verbose_name = _("penalty")
        verbose_name_plural = _("penalties")
        ordering = ["template", "id"]
        constraints = [models.CheckConstraint(condition=~models.Q(event_type=""), name="lms_badges_penalty_event_type")]

    def __str__(self) -> str:
        return f"{self.template}: {self.event_type}"


class PenaltyRequirement(models.Model):
    """
    A requirement that a penalty resets. Both belong to the same template.

    .. no_pii:
    """

    penalty = models.ForeignKey(BadgePenalty, on_delete=models.CASCADE, related_name="+")
    requirement = models.ForeignKey(BadgeRequirement, on_delete=models.CASCADE, related_name="+")

    class Meta:
        default_permissions = ()
        verbose_name = _("requirement of a penalty")
        verbose_name_plural = _("requirements of penalties")
        ordering = ["penalty", "requirement"]
        constraints = [
            models.UniqueConstraint(fields=["penalty", "requirement"], name="lms_badges_penalty_requirement")
        ]

    def __str__(self) -> str:
        return f"{self.penalty_id}: {self.requirement_id}"


class PenaltyDataRule(models.Model):
    """
    A condition on one key path of the data of a penalty's event. All rules of a penalty must hold.

    ``value`` is as for ``DataRule``.

    .. no_pii:
    """

    penalty = models.ForeignKey(BadgePenalty, on_delete=models.CASCADE, related_name="rules")
    path = KeyField(_("key path"), max_length=255)
    operator = KeyField(_("operator"), max_length=50)
    value: models.JSONField[Any, Any] = models.JSONField(_("value"))

    class Meta:
        default_permissions = ()
        verbose_name = _("data rule of a penalty")
        verbose_name_plural = _("data rules of penalties")
        ordering = ["penalty", "id"]

    def __str__(self) -> str:
        return f"{self.path} {self.operator} {self.value}"


class EventType(models.Model):
    """
    An event type that this site has defined itself, beside the public signals of installed packages.

    Staff write it in the admin, by REST or in a pack; only ``catalog.own_event_types`` saves it, which validates it as
    a whole. From then on its events are accepted by REST, from files and from JSON topics, and rules may use it. When
    it is not active, its events are refused or skipped as those of any type that is not configured. A type that an
    active template uses is not deleted.

    ``schema`` is the text of a JSON Schema of the data. It is text, since some databases change the order of the keys
    of JSON, and key paths are shown in the order of the schema. No history is kept: events are decided by the type as
    it is when they arrive.

    .. no_pii:
    """

    name = KeyField(
        _("event type"),
        max_length=255,
        unique=True,
        help_text=_("What events name as their type, such as com.example.workshop.attended.v1."),
    )
    title = models.CharField(_("title"), max_length=255, blank=True)
    description = models.TextField(_("description"), blank=True)
    schema = models.TextField(_("JSON Schema of the data"))
    learner_path = KeyField(
        _("learner path"),
        max_length=1000,
        help_text=_(
            "Where the data names the learner: the path to an LMS user id, username:<path> or external:<issuer>:<path>."
        ),
    )
    is_active = models.BooleanField(_("active"), default=True)
    author = UnconstrainedForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        editable=False,
        related_name="+",
        verbose_name=_("last changed by"),
    )
    created_at = models.DateTimeField(_("created"))
    modified_at = models.DateTimeField(_("modified"))

    class Meta:
        default_permissions = ()
        permissions = [
            ("view_lms_badges_eventtype", "Can view event types"),
            ("add_lms_badges_eventtype", "Can add event types"),
            ("change_lms_badges_eventtype", "Can change event types"),
            ("delete_lms_badges_eventtype", "Can delete event types"),
            ("send_lms_badges_eventtype", "Can send events by REST"),
        ]
        verbose_name = _("event type")
        verbose_name_plural = _("event types")
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class CatalogVersion(models.Model):
    """
    The single row with the numbers that tell every process when to read the catalog anew.

    Every change of a template writes a new ``number`` in its transaction. So a reader who sees the change sees the
    number. A change of an event type writes a new number to ``event_types``, too. It is 0 while there was never one.

    .. no_pii:
    """

    id = models.PositiveSmallIntegerField(primary_key=True, default=1)
    number = models.PositiveBigIntegerField(default=0)
    event_types = models.PositiveBigIntegerField(default=0)

    class Meta:
        default_permissions = ()
        verbose_name = _("catalog version")
        verbose_name_plural = _("catalog version")
        constraints = [models.CheckConstraint(condition=models.Q(id=1), name="lms_badges_one_catalog_version")]

    def __str__(self) -> str:
        return str(self.number)
