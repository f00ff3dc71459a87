"""Addresses of the admin's pages, and rows to show on them."""

from __future__ import annotations

from typing import Any

from tests.credentials_config.factories import CredentialConfigurationFactory

ROOT = "/admin/lms_credentials_config"
CONFIGURATIONS, TYPES = f"{ROOT}/credentialconfiguration/", f"{ROOT}/credentialtype/"
CREDENTIALS, ASSETS, RUNS = f"{ROOT}/credential/", f"{ROOT}/credentialasset/", f"{ROOT}/credentialrun/"


def page_of(row: Any) -> str:
    """Return the address of a row's page."""
    return f"{ROOT}/{row._meta.model_name}/{row.pk}/change/"


def button(row: Any, name: str) -> str:
    """Return the address of a button of a row's page."""
    return f"{ROOT}/{row._meta.model_name}/{row.pk}/{name}/"


def typed_diploma(**given: Any) -> Any:
    """Configure a credential for finishing Algebra, typed by the typewriter."""
    kind = {
        "credential_type__processor": "completions",
        "credential_type__generator": "typewriter",
        "credential_type__options": {"required_completion": 0.9},
    }
    return CredentialConfigurationFactory(**{**kind, **given})
