"""Words in the query that nobody reads are refused, because the answer to another question would be wrong."""

from __future__ import annotations

import difflib
from collections.abc import Collection

from django.utils.translation import gettext as _
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request

NAME_SHOWN = 100


def refuse_unknown(request: Request, known: Collection[str]) -> None:
    """Raise ValidationError for parameters that are not among the known ones; it names the nearest, or all."""
    unknown = [name[:NAME_SHOWN] for name in request.query_params if name not in known]
    if unknown:
        raise ValidationError({name: [_remedy(name, list(known))] for name in unknown})


def _remedy(name: str, known: list[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    if not known:
        return _("There are no parameters here; take it away.")
    return _("There is no such parameter; write %(names)s.") % {"names": _(" or ").join(near or known)}
