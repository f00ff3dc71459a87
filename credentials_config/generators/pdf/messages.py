"""
Messages between the renderer and its worker process.

A message is two lengths (32 bits each, big-endian), a JSON object in UTF-8, and a block of bytes.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Mapping
from typing import Any

_HEAD = struct.Struct(">II")


def encode(message: Mapping[str, Any], block: bytes = b"") -> bytes:
    """Return a message as bytes."""
    text = json.dumps(message, ensure_ascii=False).encode()
    return _HEAD.pack(len(text), len(block)) + text + block


def decode(read: Callable[[int], bytes]) -> tuple[dict[str, Any], bytes]:
    """
    Read a message. ``read(n)`` returns n bytes, and fewer only at the end.

    Raises EOFError when the other side has closed the pipe.
    """
    head = read(_HEAD.size)
    if len(head) < _HEAD.size:
        raise EOFError
    length, more = _HEAD.unpack(head)
    text, block = read(length), read(more)
    if len(text) < length or len(block) < more:
        raise EOFError
    return json.loads(text), block
