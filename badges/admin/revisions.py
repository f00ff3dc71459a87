"""Revisions: the versions of a template and their differences."""

from __future__ import annotations

import json
from typing import Any

from django.contrib import admin
from django.db.models import Q
from django.utils.html import format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from badges.admin.descriptions import pretty
from badges.admin.readonly import ExactSearchMixin, ReadOnlyAdmin, template_ids_for
from badges.catalog.documents import differences
from badges.common.admin import link_to
from badges.models import TemplateRevision


@admin.register(TemplateRevision)
class TemplateRevisionAdmin(ExactSearchMixin, ReadOnlyAdmin):
    """Revisions of templates, read-only."""

    list_display = ("__str__", "author", "created_at")
    list_select_related = ("template", "author")
    search_help_text = gettext_lazy("The slug of a template.")
    ordering = ("-pk",)
    fields = ("badge", "number", "author", "created_at", "changes", "demanded")

    def search_condition(self, term: str) -> Q:
        return Q(template_id__in=template_ids_for(term))

    def get_model_perms(self, request: Any) -> dict[str, bool]:
        """Hide this page from the index. The page of a template links to it."""
        return {}

    @admin.display(description=gettext_lazy("template"))
    def badge(self, revision: TemplateRevision) -> Any:
        return link_to(revision.template)

    @admin.display(description=gettext_lazy("what changed"))
    def changes(self, revision: TemplateRevision) -> SafeString | str:
        before = TemplateRevision.objects.filter(template=revision.template_id, number__lt=revision.number)
        earlier = before.order_by("-number").first()
        if earlier is None:
            return _("This is the first revision.")
        found = differences(json.loads(earlier.document), json.loads(revision.document))
        return format_html_join(SafeString("<br>"), "{}", ((str(change),) for change in found)) or "-"

    @admin.display(description=gettext_lazy("document"))
    def demanded(self, revision: TemplateRevision) -> SafeString:
        return pretty(revision.document)
