"""A storage that waits after it has stored a file, so that a test can kill the worker before it writes its row."""

from __future__ import annotations

import os
import time
from typing import Any

from django.core.files.storage import FileSystemStorage


class SlowStorage(FileSystemStorage):
    def save(self, name: str | None, content: Any, max_length: int | None = None) -> str:
        saved = super().save(name, content, max_length=max_length)
        time.sleep(float(os.environ["STORAGE_SECONDS"]))
        return saved
