"""Unknown query parameters are errors: ignoring a mistyped filter would return wrong results."""

from __future__ import annotations

import difflib
from collections.abc import Collection

from django.utils.translation import gettext as _
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request

NAME_SHOWN = 100
MOST_NAMED = 20  # unknown parameters in one answer


def refuse_unknown(request: Request, known: Collection[str]) -> None:
    """Raise ValidationError for unknown query parameters. The message names similar ones, or all known ones."""
    unknown = [name[:NAME_SHOWN] for name in request.query_params if name not in known]
    if unknown:
        raise ValidationError({name: [_remedy(name, list(known))] for name in unknown[:MOST_NAMED]})


def _remedy(name: str, known: list[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    if not known:
        return _("There are no parameters here; take it away.")
    return _("There is no such parameter; write %(names)s.") % {"names": _(" or ").join(near or known)}
