"""
Criteria documents as text: strict JSON, and the limits that hold before anything is understood.

Nothing here recurses, because the depth of a document is only known to be harmless afterwards.
"""

from __future__ import annotations

import json
import re
from typing import Any

from badges.rules.criteria.pointers import below
from badges.rules.errors import CriteriaError
from badges.rules.shapes import MAX_INTEGER_BITS, is_unicode

MAX_DEPTH = 32
MAX_NODES = 500
MAX_BYTES = 64 * 1024

_COMMENT_HELP = 'JSON has no comments; write them as "$comment": "…", which is allowed at every level'
# Strings are skipped as a whole, so that what they hold is not taken for structure.
_TOKENS = re.compile(r'"(?:[^"\\]|\\.)*"|(?P<open>[\[{])|(?P<close>[\]}])|(?P<comment>//|/\*|#)', re.DOTALL)
_LONGEST_INTEGER = 400  # digits; more are beyond MAX_INTEGER_BITS, and Python may refuse to read them


class _RepeatedKey(dict[str, Any]):
    """An object of which one key is written twice; the check of the tree reports it, since only that knows the path."""

    key: str


def read_document(document: Any) -> dict[str, Any]:
    """
    Return a criteria document as plain dictionaries and lists, checked to be strict JSON within the limits.

    ``document`` is a dictionary or JSON text. A *node* is an object or a list. Raises CriteriaError of the kind
    invalid_json, limit or, if it is no object, invalid_criteria.
    """
    if isinstance(document, str):
        document = _read_text(document)
    _check_tree(document)
    if not isinstance(document, dict):
        raise CriteriaError("invalid_criteria", "", 'a criteria document is an object, such as {"event": "…"}')
    text = json.dumps(document, ensure_ascii=False)
    _check_size(text)
    # A copy, so that nobody changes the document under what was compiled from it.
    return json.loads(text)  # type: ignore[no-any-return]


def _read_text(text: str) -> Any:
    _check_size(text)
    _check_depth(text)
    try:
        return json.loads(text, object_pairs_hook=_object, parse_constant=float, parse_int=_integer)
    except json.JSONDecodeError as error:
        if any(token["comment"] for token in _TOKENS.finditer(text)):
            raise CriteriaError("invalid_json", "", _COMMENT_HELP) from None
        place = f"line {error.lineno}, column {error.colno}"
        raise CriteriaError("invalid_json", "", f"write valid JSON; {place}: {error.msg}") from None


def _check_size(text: str) -> None:
    if len(text.encode(errors="surrogatepass")) > MAX_BYTES:
        raise CriteriaError("limit", "", f"write at most {MAX_BYTES // 1024} KiB of text, or split it into badges")


def _check_depth(text: str) -> None:
    depth = 0
    for token in _TOKENS.finditer(text):
        if token["open"]:
            depth += 1
            if depth > MAX_DEPTH:
                raise _too_deep()
        elif token["close"]:
            depth -= 1


def _too_deep() -> CriteriaError:
    return CriteriaError("limit", "", f"write at most {MAX_DEPTH} levels of objects and lists inside each other")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) == len(pairs):
        return found
    seen: set[str] = set()
    repeated = _RepeatedKey(found)
    repeated.key = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
    return repeated


def _integer(digits: str) -> int | float:
    return float("inf") if len(digits) > _LONGEST_INTEGER else int(digits)


def _check_tree(document: Any) -> None:
    nodes = 0
    waiting: list[tuple[str, Any, int]] = [("", document, 1)]
    while waiting:
        path, value, depth = waiting.pop()
        if not isinstance(value, (dict, list)):
            _check_scalar(path, value)
            continue
        nodes += 1
        if depth > MAX_DEPTH:
            raise _too_deep()
        if nodes > MAX_NODES:
            raise CriteriaError("limit", "", f"write at most {MAX_NODES} objects and lists, or split it into badges")
        if isinstance(value, list):
            waiting += [(below(path, number), item, depth + 1) for number, item in enumerate(value)]
            continue
        if isinstance(value, _RepeatedKey):
            raise CriteriaError(
                "invalid_json", below(path, value.key), f"the key {value.key!r} is written twice; write it once"
            )
        for key, item in value.items():
            if not isinstance(key, str):
                raise CriteriaError("invalid_json", path, f"the key {key!r} is not text; write it in quotes")
            _check_scalar(path, key)
            waiting.append((below(path, key), item, depth + 1))


def _check_scalar(path: str, value: Any) -> None:
    if isinstance(value, str):
        if not is_unicode(value) or "\0" in value:
            raise CriteriaError("invalid_json", path, "write text without NUL characters and broken surrogates")
    elif isinstance(value, float):
        if value - value != 0:  # NaN, the infinities, and what is too large for a number, such as 1e400
            raise CriteriaError("invalid_json", path, "write a finite number; JSON has no NaN and no Infinity")
    elif isinstance(value, int):
        if value.bit_length() > MAX_INTEGER_BITS:
            raise CriteriaError("invalid_json", path, f"write a number of at most {MAX_INTEGER_BITS} bits")
    elif value is not None:
        raise CriteriaError("invalid_json", path, f"write JSON; a Python {type(value).__name__} is none")
