"""The URLs of the admin pages."""

from __future__ import annotations

from typing import Any

ROOT = "/admin/lms_credentials_config"
CONFIGURATIONS, TYPES = f"{ROOT}/credentialconfiguration/", f"{ROOT}/credentialtype/"
CREDENTIALS, ASSETS, RUNS = f"{ROOT}/credential/", f"{ROOT}/credentialasset/", f"{ROOT}/credentialrun/"


def page_of(row: Any) -> str:
    """Return the address of a row's page."""
    return f"{ROOT}/{row._meta.model_name}/{row.pk}/change/"


def button(row: Any, name: str) -> str:
    """Return the address of a button of a row's page."""
    return f"{ROOT}/{row._meta.model_name}/{row.pk}/{name}/"
