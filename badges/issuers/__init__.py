"""
Providers that issue our credentials: one package each, with the same file names.

A provider of another distribution is a Django app of its own, and its entry point in ``badges.issuers`` is all that is
needed here. The providers of this package share its app. Their tables and admin pages are found by their file names, so
a new provider changes no file of others.
"""

from __future__ import annotations

import pkgutil
from importlib import import_module
from importlib.util import find_spec


def import_modules(name: str) -> None:
    """Import the module of this name, such as ``models``, of each provider in this package that has one."""
    for package in pkgutil.iter_modules(__path__):
        path = f"{__name__}.{package.name}"
        if package.ispkg and find_spec(f"{path}.{name}"):
            import_module(f"{path}.{name}")
