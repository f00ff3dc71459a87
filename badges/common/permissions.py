"""The codenames of our permissions, which equal none of the host's: ``view_lms_badges_usercredential``."""

from __future__ import annotations

from typing import Any

from django.db.models import Model


def codename(verb: str, model: type[Model] | Model) -> str:
    """Return the codename of what may be done to a model's rows, as the model's ``Meta.permissions`` lists it."""
    options = model._meta
    return f"{verb}_{options.app_label}_{options.model_name}"


def permission(verb: str, model: type[Model] | Model) -> str:
    """Return a permission as ``user.has_perm`` takes it: ``lms_badges.view_lms_badges_usercredential``."""
    return f"{model._meta.app_label}.{codename(verb, model)}"


def may(user: Any, verb: str, model: type[Model] | Model) -> bool:
    """Whether somebody may do this to a model's rows."""
    return bool(user.has_perm(permission(verb, model)))
