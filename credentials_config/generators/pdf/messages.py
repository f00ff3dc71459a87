"""Messages between the renderer and its worker process: a JSON object and a block of bytes, each with its length."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Mapping
from typing import Any

_HEAD = struct.Struct(">II")


def packed(message: Mapping[str, Any], block: bytes = b"") -> bytes:
    """Return a message as bytes."""
    text = json.dumps(message, ensure_ascii=False).encode()
    return _HEAD.pack(len(text), len(block)) + text + block


def unpack(read: Callable[[int], bytes]) -> tuple[dict[str, Any], bytes]:
    """Read a message; EOFError when the other side is gone. ``read(n)`` returns n bytes, fewer only at the end."""
    head = read(_HEAD.size)
    if len(head) < _HEAD.size:
        raise EOFError
    length, more = _HEAD.unpack(head)
    text, block = read(length), read(more)
    if len(text) < length or len(block) < more:
        raise EOFError
    return json.loads(text), block
