"""The rows of bulk runs, and what became of each of them."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _

from badges.awarding.models import UserCredential
from badges.catalog.causes import REASON_LENGTH
from badges.catalog.models import BadgeTemplate
from badges.fields import UnconstrainedForeignKey
from badges.intake.models import Learner
from badges.runs.models import Run


class BulkOutcome(models.TextChoices):
    """What became of a row. In a plan: what would become of it now."""

    WAITING = "", _("not reached")
    DUPLICATE = "duplicate", _("duplicate")  # an earlier row of the file has this learner and this template
    AWARDED = "awarded", _("awarded")
    REVOKED = "revoked", _("revoked")
    ALREADY_HELD = "already_held", _("already held")
    NOT_HELD = "not_held", _("not held")
    BLOCKED = "blocked", _("blocked")  # a person revoked the badge, and the block is not lifted
    NOT_ACTIVE = "not_active", _("template not active")  # it was when the file was read
    UNKNOWN = "unknown", _("unknown learner")  # was retired since the file was read, or the account can have no learner


class BulkRow(models.Model):
    """
    A row of the file of a bulk run: a learner who is to get or to lose a badge, and what became of it.

    Written with its run, when the whole file was found to be right, and deleted with it. ``number`` is the number of
    the row in the file. A row whose learner is an account of the host without a learner has the ``account``; the run
    makes the learner. ``outcome`` and ``credential`` are written in the transaction that awards or revokes: what is
    blank was not reached yet. ``undo_outcome`` is written when the run is taken back. A row that repeats an earlier one
    names its number in ``duplicate_of``, and nothing is done for it.

    .. pii: The reason, which people wrote. ``bulk.personal_data`` removes it.
    .. pii_types: other
    .. pii_retirement: local_api
    """

    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="bulk_rows")
    number = models.PositiveIntegerField(_("row"))
    learner = models.ForeignKey(Learner, on_delete=models.PROTECT, null=True, related_name="+")
    account = UnconstrainedForeignKey(settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+")
    template = models.ForeignKey(BadgeTemplate, on_delete=models.PROTECT, related_name="+")
    reason = models.CharField(_("reason"), max_length=REASON_LENGTH, blank=True)
    duplicate_of = models.PositiveIntegerField(_("repeats the row"), null=True)
    outcome = models.CharField(_("outcome"), max_length=12, choices=BulkOutcome.choices, blank=True)
    credential = models.ForeignKey(UserCredential, on_delete=models.PROTECT, null=True, related_name="+")
    undo_outcome = models.CharField(_("when taken back"), max_length=12, choices=BulkOutcome.choices, blank=True)

    class Meta:
        default_permissions = ()
        verbose_name = _("row of a bulk run")
        verbose_name_plural = _("rows of bulk runs")
        constraints = [
            models.UniqueConstraint(fields=["run", "number"], name="lms_badges_bulk_row_once"),
            models.CheckConstraint(
                condition=~models.Q(outcome__in=["awarded", "revoked"]) | models.Q(duplicate_of__isnull=True),
                name="lms_badges_bulk_duplicate_does_nothing",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.run_id} / {self.number}"
