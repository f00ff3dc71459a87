"""What a host relies on: permissions of ours have codenames that no model of the host's can have."""

from __future__ import annotations

import pytest
from django.apps import apps
from django.contrib import admin
from django.contrib.admin.options import InlineModelAdmin

from badges.common.admin import OwnPermissions
from badges.common.permissions import codename

LABELS = ("lms_badges", "lms_credentials_config")
MODELS = [model for label in LABELS for model in apps.get_app_config(label).get_models(include_auto_created=True)]


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model._meta.label)
def test_every_model_names_its_permissions_itself(model: type) -> None:
    options = model._meta
    assert options.default_permissions == ()
    verbs = [given.removesuffix(codename("", model)) for given, _words in options.permissions]
    assert [f"{verb}{codename('', model)}" for verb in verbs] == [given for given, _words in options.permissions]
    assert all(verb.isalpha() for verb in verbs)


@pytest.mark.parametrize(
    "page", [page for page in admin.site._registry.values() if page.opts.app_label in LABELS], ids=str
)
def test_every_admin_page_asks_for_them(page: admin.ModelAdmin) -> None:
    assert isinstance(page, OwnPermissions)
    listed = {given for given, _words in page.opts.permissions}
    assert codename("view", page.model) in listed
    for inline in page.get_inlines(None, None):
        # An inline belongs to its page; the base of Django would ask for codenames that nobody can have.
        assert inline.has_view_permission is not InlineModelAdmin.has_view_permission
