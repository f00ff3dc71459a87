"""How the views of both apps describe themselves in the OpenAPI document at ``/api/schema/``."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from drf_spectacular.openapi import AutoSchema

from badges.common.problem_details import MEDIA_TYPE

JSON = "application/json"

_ALWAYS = {"406": "No such format.", "429": "Too many requests."}
_SIGNED_IN = {"401": "Not authenticated.", "403": "Not allowed."}
_BODY = {
    "400": "A field is wrong; `errors` says which and what to write instead.",
    "413": "The body is too large.",
    "415": "The body is not JSON.",
}


@dataclass(frozen=True)
class Operation:
    """
    What one HTTP method of a view does.

    ``other_answers`` are answers by status, where ``status`` is not the only good one. ``problems`` are descriptions by
    status.
    """

    id: str
    summary: str
    answer: Any
    status: int = 200
    body: Any = None
    many: bool = False
    other_answers: dict[int, Any] = field(default_factory=dict)
    problems: dict[str, str] = field(default_factory=dict)
    parameters: tuple[Any, ...] = ()


class OperationSchema(AutoSchema):
    """
    Describes a view by its ``operations``. Views with this class are in the document.

    It is set on the views and not made by ``extend_schema``, which would build on the host's default schema class.
    """

    in_plugin_document = True

    @property
    def operation(self) -> Operation:
        """The operation of the method that is described."""
        view: Any = self.view
        found: Operation = view.operations[self.method.lower()]
        return found

    def get_operation_id(self) -> str:
        return self.operation.id

    def get_tags(self) -> list[str]:
        return [self.operation.id.partition("_")[0]]

    def get_summary(self) -> str:
        return self.operation.summary

    def get_request_serializer(self) -> Any:
        return self.operation.body

    def get_response_serializers(self) -> Any:
        return {self.operation.status: self.operation.answer, **self.operation.other_answers}

    def _is_list_view(self, serializer: Any = None) -> bool:
        return self.operation.many

    def get_override_parameters(self) -> Any:
        return list(self.operation.parameters)

    def get_operation(self, *args: Any, **kwargs: Any) -> Any:
        operation = super().get_operation(*args, **kwargs)
        if operation is None:
            return None
        if self.method == "DELETE" and self.operation.body:  # drf-spectacular describes no body of it
            schema, _required = self._get_request_for_media_type(self.operation.body)
            operation["requestBody"] = {"content": {JSON: {"schema": schema}}, "required": False}
        signed_in = {} if operation.get("security") == [{}] else _SIGNED_IN
        problems = {**_ALWAYS, **signed_in, **(_BODY if self.operation.body else {}), **self.operation.problems}
        content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
        for status, description in sorted(problems.items()):
            operation["responses"].setdefault(status, {"description": description, "content": content})
        return operation
