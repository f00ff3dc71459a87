"""Credential types, and configurations: which credential is given in which learning context."""

from __future__ import annotations

from typing import Any

from django.db import models
from django.utils.translation import gettext_lazy as _

from badges.fields import KeyField, UnconstrainedOneToOneField
from credentials_config.schedules import ScheduleRules


class CredentialType(models.Model):
    """
    A kind of credential: the processor that finds eligible learners, the generator that makes documents, and options.

    Written by staff in the admin, and kept for as long as a configuration uses it. ``processor`` and ``generator`` are
    slugs of plug-ins, so that renaming code needs no migration.

    .. no_pii:
    """

    name = models.CharField(_("name"), max_length=255, unique=True)
    processor = KeyField(_("processor"), max_length=100)
    generator = KeyField(_("generator"), max_length=100, default="pdf")
    options: models.JSONField[Any, Any] = models.JSONField(_("options"), default=dict, blank=True)

    class Meta:
        default_permissions = ()
        permissions = [
            ("view_lms_credentials_config_credentialtype", "Can view credential types"),
            ("add_lms_credentials_config_credentialtype", "Can add credential types"),
            ("change_lms_credentials_config_credentialtype", "Can change credential types"),
            ("delete_lms_credentials_config_credentialtype", "Can delete credential types"),
        ]
        verbose_name = _("credential type")
        verbose_name_plural = _("credential types")
        ordering = ("name",)

    def __str__(self) -> str:
        return self.name


class Availability(models.TextChoices):
    """When the credentials of eligible learners are given at the earliest."""

    EARNED = "earned", _("as soon as earned")
    COURSE_END = "course_end", _("at the course's end")
    AFTER_END = "after_end", _("some days after the course's end")
    ON_DATE = "on_date", _("on a date")


class CredentialConfiguration(models.Model):
    """
    Credentials of one type are given in one learning context (a course, a lesson, a pathway), by a schedule.

    Written by staff in the admin. While it is open, its periodic task requests runs. After the end of the context one
    last run is guaranteed; it sets ``closed_at``. When the end date is moved later, the configuration opens again.
    ``enabled`` is what an administrator wants. It is separate from ``closed_at``, so that a context that opens again
    has runs, and a configuration that was switched off stays off. The periodic task is enabled exactly while the
    configuration is enabled and not closed. A row with credentials cannot be deleted. ``options`` are merged, level by
    level, over those of the type.

    ``problem`` is why its runs find nobody or none of its documents can be made (a broken template, a missing font, a
    storage that is down), with the remedy for an operator. It is empty again once a run or a document succeeds. Until
    ``problem_until`` no worker tries to make its documents.

    .. no_pii:
    """

    context_key = KeyField(_("context key"), max_length=255, help_text=_("A course, usage (lesson) or pathway key."))
    credential_type = models.ForeignKey(
        CredentialType, on_delete=models.PROTECT, related_name="configurations", verbose_name=_("type")
    )
    enabled = models.BooleanField(_("enabled"), default=False)
    options: models.JSONField[Any, Any] = models.JSONField(_("options"), default=dict, blank=True)
    periodic_task = UnconstrainedOneToOneField(
        "django_celery_beat.PeriodicTask",
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        editable=False,
        related_name="credential_configuration",
    )
    availability = models.CharField(
        _("available"), max_length=12, choices=Availability.choices, default=Availability.EARNED
    )
    days_after_end = models.PositiveIntegerField(_("days after the end"), null=True, blank=True)
    available_on = models.DateTimeField(_("available on"), null=True, blank=True)
    ignore_start = models.BooleanField(
        _("before the start"), default=False, help_text=_("Give credentials although the context has not started.")
    )
    grace_hours = models.PositiveIntegerField(
        _("grace in hours"), default=48, help_text=_("The last run is this long after the end.")
    )
    valid_days = models.PositiveIntegerField(_("valid for days"), null=True, blank=True)
    valid_until = models.DateTimeField(_("valid until"), null=True, blank=True)
    closed_at = models.DateTimeField(_("closed"), null=True, blank=True, editable=False)
    problem = models.CharField(_("problem"), max_length=500, blank=True, editable=False)
    problem_until = models.DateTimeField(_("tried again"), null=True, blank=True, editable=False)
    created_at = models.DateTimeField(_("created"), auto_now_add=True)

    class Meta:
        default_permissions = ()
        permissions = [
            ("view_lms_credentials_config_credentialconfiguration", "Can view credential configurations"),
            ("add_lms_credentials_config_credentialconfiguration", "Can add credential configurations"),
            ("change_lms_credentials_config_credentialconfiguration", "Can change credential configurations"),
            ("delete_lms_credentials_config_credentialconfiguration", "Can delete credential configurations"),
            ("generate_lms_credentials_config_credentialconfiguration", "Can generate credential configurations"),
        ]
        verbose_name = _("credential configuration")
        verbose_name_plural = _("credential configurations")
        ordering = ("context_key", "credential_type")
        constraints = (
            models.UniqueConstraint(fields=["context_key", "credential_type"], name="lms_cc_configuration_once"),
            models.CheckConstraint(
                condition=~models.Q(availability="after_end") | models.Q(days_after_end__isnull=False),
                name="lms_cc_after_end_needs_days",
            ),
            models.CheckConstraint(
                condition=~models.Q(availability="on_date") | models.Q(available_on__isnull=False),
                name="lms_cc_on_date_needs_date",
            ),
        )

    def __str__(self) -> str:
        return f"{self.credential_type} / {self.context_key}"

    @property
    def schedule_rules(self) -> ScheduleRules:
        """What this configuration says about dates."""
        return ScheduleRules(
            availability=self.availability,
            days_after_end=self.days_after_end,
            available_on=self.available_on,
            ignore_start=self.ignore_start,
            grace_hours=self.grace_hours,
            closed=self.closed_at is not None,
        )
