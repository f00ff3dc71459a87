"""A storage that takes its time once it has stored something: room for a kill between storing and writing it down."""

from __future__ import annotations

import os
import time
from typing import Any

from django.core.files.storage import FileSystemStorage


class Dawdler(FileSystemStorage):
    def save(self, name: str | None, content: Any, max_length: int | None = None) -> str:
        saved = super().save(name, content, max_length=max_length)
        time.sleep(float(os.environ["DAWDLES"]))
        return saved
