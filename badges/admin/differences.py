"""What reconciliations have found."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.utils.translation import gettext_lazy

from badges.admin.readonly import ReadOnlyAdmin
from badges.common.admin import link_to
from badges.models import ProviderDifference


@admin.register(ProviderDifference)
class ProviderDifferenceAdmin(ReadOnlyAdmin):
    """Differences between providers and what is written here; the page of a run leads to its own."""

    list_display = ("__str__", "difference", "organization", "external_template", "here", "there", "is_repaired")
    list_filter = ("difference", "is_repaired")
    ordering = ("-pk",)
    fields = (
        "found_by",
        "difference",
        "organization",
        "external_template",
        "owner",
        "external_id",
        "here",
        "there",
        "is_repaired",
    )

    @admin.display(description=gettext_lazy("run"))
    def found_by(self, row: ProviderDifference) -> Any:
        return link_to(row.run, str(row.run))

    @admin.display(description=gettext_lazy("credential"))
    def owner(self, row: ProviderDifference) -> Any:
        return link_to(row.credential, str(row.credential_id)) if row.credential else "-"
