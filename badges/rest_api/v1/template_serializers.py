"""Serializers of templates, their documents and their revisions."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from badges.catalog.criteria import counts_from_of
from badges.catalog.documents import Document, pack_entry
from badges.catalog.editing import Outcome, SaveResult
from badges.catalog.models import BadgeTemplate, TemplateRevision
from badges.catalog.queries import expiry_of
from badges.issuers import registry
from badges.issuers.models import ProviderTemplate, TemplateState
from badges.issuers.templates import at_providers
from badges.rest_api.openapi import EXPIRY_SCHEMA, TEMPLATE_DOCUMENT_SCHEMA
from badges.rest_api.times import utc_text, utc_time_field


class DocumentProblemSerializer(serializers.Serializer[Any]):
    """Something in a document that has to be changed."""

    path = serializers.CharField(help_text="Where in the document; empty for the whole.")
    message = serializers.CharField(help_text="What to write instead.")
    kind = serializers.CharField(help_text="What is wrong with a rule or a criteria document; empty otherwise.")


class ChangeSerializer(serializers.Serializer[Any]):
    """One difference between two documents."""

    path = serializers.CharField()
    before = serializers.CharField(allow_null=True, help_text="As text; null for what was added.")
    after = serializers.CharField(allow_null=True, help_text="As text; null for what was removed.")


class BadgeTemplateSerializer(serializers.Serializer[BadgeTemplate]):
    """A badge template."""

    uuid = serializers.UUIDField()
    slug = serializers.CharField()
    name = serializers.CharField()
    description = serializers.CharField()
    image_url = serializers.CharField(
        source="shown_image_url", help_text="The template's own image, or else its provider's; empty: there is none."
    )
    is_active = serializers.BooleanField(help_text="Only active templates are matched against events.")
    award_once = serializers.BooleanField()
    expiry = serializers.SerializerMethodField(help_text="How long the badge holds, as in packs; null for ever.")
    archived_at = utc_time_field(allow_null=True)
    created_at = utc_time_field()
    modified_at = utc_time_field()
    revision = serializers.IntegerField(
        source="current_revision.number", allow_null=True, default=None, help_text="The number of the revision."
    )

    @extend_schema_field(EXPIRY_SCHEMA)
    def get_expiry(self, template: BadgeTemplate) -> Document | None:
        return expiry_of(template)


class ProviderTemplateSerializer(serializers.Serializer[ProviderTemplate]):
    """The template of a provider at which a badge is issued, as the provider described it last."""

    provider = serializers.CharField()
    organization = serializers.CharField()
    template = serializers.CharField(source="external_id", help_text="Its id there.")
    name = serializers.CharField()
    state = serializers.ChoiceField(choices=TemplateState.choices)
    image_url = serializers.CharField(help_text="Empty when there is no image.")
    management_url = serializers.CharField(help_text="Where it is managed there; empty when that is not known.")


class TemplateDetailSerializer(BadgeTemplateSerializer):
    """A badge template with its document."""

    at_providers = serializers.SerializerMethodField(
        help_text="What its providers say of it; empty before their templates were synced."
    )
    document = serializers.SerializerMethodField()
    counts_from = serializers.SerializerMethodField(
        help_text="From when on events count for the criteria document, by the time at which they arrived here. Null "
        "without a document, and before the template is active for the first time."
    )
    problems = serializers.SerializerMethodField(
        help_text="Why the document could not be saved today; a change of settings can be the reason."
    )

    @extend_schema_field(ProviderTemplateSerializer(many=True))
    def get_at_providers(self, template: BadgeTemplate) -> Any:
        found = at_providers([template], registry.working()).get(template.pk, [])
        return ProviderTemplateSerializer(found, many=True).data

    @extend_schema_field(TEMPLATE_DOCUMENT_SCHEMA)
    def get_document(self, template: BadgeTemplate) -> Document:
        document: Document = self.context["document"]
        return document

    @extend_schema_field({"type": ["string", "null"], "format": "date-time"})
    def get_counts_from(self, template: BadgeTemplate) -> str | None:
        return utc_text(counts_from_of(template))

    @extend_schema_field(DocumentProblemSerializer(many=True))
    def get_problems(self, template: BadgeTemplate) -> Any:
        return DocumentProblemSerializer(self.context["problems"], many=True).data


class SavedTemplateSerializer(serializers.Serializer[SaveResult]):
    """The effect of saving a template."""

    outcome = serializers.ChoiceField(choices=[(outcome.value, outcome.value) for outcome in Outcome])
    dry_run = serializers.SerializerMethodField(help_text="Whether nothing was written.")
    changes = ChangeSerializer(many=True)
    revision = serializers.SerializerMethodField(
        help_text="The number of the present revision. A dry run makes none: it is the one before the change."
    )
    document = serializers.SerializerMethodField(help_text="As it is stored, or would be.")

    def get_dry_run(self, result: SaveResult) -> bool:
        return bool(self.context["is_dry_run"])

    @extend_schema_field({"type": ["integer", "null"]})
    def get_revision(self, result: SaveResult) -> int | None:
        template = self.context["template"]
        return template.current_revision.number if template and template.current_revision else None

    @extend_schema_field(TEMPLATE_DOCUMENT_SCHEMA)
    def get_document(self, result: SaveResult) -> Document:
        document = pack_entry(result.document)
        return document if self.context["template"] else {**document, "uuid": None}


class TemplateRevisionSerializer(serializers.Serializer[TemplateRevision]):
    """A revision of a template."""

    number = serializers.IntegerField()
    is_active = serializers.BooleanField()
    author = serializers.SerializerMethodField(help_text="A username; null when no account saved it or it is gone.")
    created_at = utc_time_field()

    @extend_schema_field({"type": ["string", "null"]})
    def get_author(self, revision: TemplateRevision) -> str | None:
        return revision.author.get_username() if revision.author else None


class TemplateRevisionDetailSerializer(TemplateRevisionSerializer):
    """A revision of a template with its document."""

    changes = serializers.SerializerMethodField(help_text="Since the revision before; empty for the first.")
    document = serializers.SerializerMethodField()

    @extend_schema_field(ChangeSerializer(many=True))
    def get_changes(self, revision: TemplateRevision) -> Any:
        return ChangeSerializer(self.context["changes"], many=True).data

    @extend_schema_field(TEMPLATE_DOCUMENT_SCHEMA)
    def get_document(self, revision: TemplateRevision) -> Document:
        return pack_entry(self.context["document"])
