"""Forms that refuse what somebody else has saved over: the second of two editors sees it, and loses nothing."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.core.serializers.json import DjangoJSONEncoder
from django.db import connection
from django.utils.translation import gettext as _


class StaleForm(forms.ModelForm):  # type: ignore[type-arg]
    """
    The base of forms whose row may be changed by two people at once.

    The page carries a digest of the row as it was opened. A form without it, or with that of an older row, is refused.
    The row is locked until the transaction of the page ends, so no third editor saves in between.
    """

    opened = forms.CharField(required=False, widget=forms.HiddenInput)

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        if self.instance.pk and "opened" in self.fields:
            self.initial["opened"] = _digest(self.stored_state(self.instance))

    def stored_state(self, row: Any) -> dict[str, Any]:
        """Return what the form shows of a row, as JSON."""
        columns = {field.name: field.attname for field in row._meta.concrete_fields}
        return {name: getattr(row, columns[name]) for name in self._meta.fields or () if name in columns}

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if self.instance.pk and "opened" in self.fields:
            rows = type(self.instance)._default_manager.filter(pk=self.instance.pk)
            if connection.features.has_select_for_update:
                rows = rows.select_for_update()
            stored = rows.first()
            if stored is None or cleaned.get("opened") != _digest(self.stored_state(stored)):
                message = _("Somebody saved this since you opened it. Open it anew in another tab and compare.")
                raise ValidationError(message, code="outdated")
        return cleaned


def _digest(state: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(state, cls=DjangoJSONEncoder, sort_keys=True).encode()).hexdigest()
