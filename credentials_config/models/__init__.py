"""The tables of scheduled credentials: types, configurations, runs, credentials and assets."""

from credentials_config.models.asset import CredentialAsset
from credentials_config.models.configuration import Availability, CredentialConfiguration, CredentialType
from credentials_config.models.credential import ACTIVE, Credential, CredentialStatus
from credentials_config.models.run import CredentialRun, RunCause

__all__ = [
    "ACTIVE",
    "Availability",
    "Credential",
    "CredentialAsset",
    "CredentialConfiguration",
    "CredentialRun",
    "CredentialStatus",
    "CredentialType",
    "RunCause",
]
