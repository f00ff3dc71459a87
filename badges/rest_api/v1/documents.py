"""What views of whole documents share: one writer at a time, versions, and problems at their paths."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from typing import TypeVar

from django.utils.http import parse_etags
from django.utils.translation import gettext as _
from drf_spectacular.utils import OpenApiParameter
from rest_framework.exceptions import ValidationError

from badges.catalog.documents import DocumentError, Problem
from badges.catalog.versions import editing_transaction
from badges.common.problem_details import InvalidDocument, PreconditionFailed, PreconditionRequired
from badges.common.query_parameters import refuse_unknown
from badges.database import retry_transient
from badges.rest_api.views import PluginAPIView

T = TypeVar("T")

GIVE_UP_SECONDS = 5  # seconds that a request waits for the database
MAX_PROBLEMS = 100  # in one answer

IF_MATCH = OpenApiParameter(
    "If-Match",
    str,
    OpenApiParameter.HEADER,
    required=True,
    description="The `ETag` of the version that is changed; `*` for whatever is there.",
)
BAD_DOCUMENT = {"400": "The document cannot be saved. `errors` has each problem at its path. Nothing was written."}
BUSY = {"503": "The database does not answer; nothing was changed."}


class DocumentView(PluginAPIView):
    """The base of views of documents. ``flag`` is the only query parameter of a request that writes one."""

    flag: str

    @property
    def is_flagged(self) -> bool:
        """Whether the query parameter ``flag`` is true."""
        return self.request.query_params.get(self.flag) == "true"

    def check_parameters(self) -> None:
        """Raises ValidationError for query parameters other than ``flag``, and for a wrong value."""
        refuse_unknown(self.request, [self.flag])
        if self.request.query_params.get(self.flag, "true") not in ("true", "false"):
            raise ValidationError({self.flag: [_("Write true or false.")]})

    def write(self, work: Callable[[], T], *, alone: bool = True) -> T:
        """
        Return what ``work`` returns, which runs while no other editor can save, unless it need not be ``alone``.

        Raises InvalidDocument with the problems of a document, and Retryable when the database does not answer.
        """

        def attempt() -> T:
            with editing_transaction() if alone else nullcontext():
                return work()

        try:
            return retry_transient(attempt, give_up_seconds=GIVE_UP_SECONDS)
        except DocumentError as error:
            raise InvalidDocument(problem_entries(error.problems)) from None

    def check_version(self, etag: str, changed: str, *, required: bool = True) -> None:
        """
        Compare the header If-Match with the present version. ``changed`` is the message when it is another one.

        Raises PreconditionRequired, PreconditionFailed, or ValidationError for a header that cannot be read.
        """
        header = self.request.headers.get("If-Match")
        if header is None:
            if required:
                raise PreconditionRequired(
                    _("Send the header If-Match with the ETag of the version that you read, or * to replace any.")
                )
            return
        versions = parse_etags(header)
        if not versions:
            raise ValidationError({"If-Match": [_('Write the ETag as it was sent, in quotes: "…".')]})
        if versions != ["*"] and etag not in versions:
            raise PreconditionFailed(changed)


def problem_entries(problems: list[Problem]) -> list[dict[str, str]]:
    """Return problems as entries of problem details. Only the first are written out."""
    errors = [
        {"field": problem.path, "detail": problem.message, **({"kind": problem.kind} if problem.kind else {})}
        for problem in problems[:MAX_PROBLEMS]
    ]
    if len(problems) > MAX_PROBLEMS:
        more = _("There are %(number)d more problems.") % {"number": len(problems) - MAX_PROBLEMS}
        errors.append({"field": "", "detail": more})
    return errors
