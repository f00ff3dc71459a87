"""Which mails were sent, and who wants none."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _


class CredentialMail(models.Model):
    """
    A mail about a credential: one row for each credential and kind.

    The row of a reminder is written together with its outbox message, so that no second reminder is written. That of a
    mail about an award is written when the mail is sent. ``sent_at`` is None until the mail was sent. It is committed
    together with the last line of the mail (``badges.common.mail``), so that no worker sends a second one.

    .. no_pii: Points at a credential; holds nothing personal itself.
    """

    credential = models.ForeignKey("lms_badges.UserCredential", on_delete=models.CASCADE, related_name="mails")
    kind = models.CharField(_("what it is about"), max_length=10)
    created_at = models.DateTimeField(_("created"))
    sent_at = models.DateTimeField(_("sent"), null=True, blank=True)

    class Meta:
        default_permissions = ()
        verbose_name = _("mail about a credential")
        verbose_name_plural = _("mails about credentials")
        constraints = [models.UniqueConstraint(fields=["credential", "kind"], name="lms_badges_one_mail_of_a_kind")]

    def __str__(self) -> str:
        return f"{self.kind} / {self.credential_id}"


class MailOptOut(models.Model):
    """
    A learner wants no mail about badges.

    Written when the learner presses the button of the page that mails link to, or by the mail program. Deleted when the
    person is retired.

    .. no_pii: Points at a learner; holds nothing personal itself.
    """

    learner = models.OneToOneField(
        "lms_badges.Learner", on_delete=models.CASCADE, primary_key=True, related_name="mail_opt_out"
    )
    created_at = models.DateTimeField(_("created"))

    class Meta:
        default_permissions = ()
        verbose_name = _("learner who wants no mail")
        verbose_name_plural = _("learners who want no mail")

    def __str__(self) -> str:
        return str(self.learner_id)
