"""Providers' secrets at rest."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.management import CommandError, call_command

from badges.exceptions import Permanent
from badges.issuers.credly.models import CredlyOrganization
from badges.issuers.secrets import decrypt, encrypt

ORGANIZATION = "7b6f2c1e-2f55-4b1f-9d0c-3a3c7a1d9e01"
SECRET = "tökén-金鑰"


def test_a_secret_comes_back_and_is_not_readable_at_rest() -> None:
    stored = encrypt(SECRET)
    assert decrypt(stored) == SECRET
    assert SECRET not in stored
    assert encrypt(SECRET) != stored  # equal secrets do not look equal


def test_without_keys_of_its_own_the_key_follows_the_secret_key_and_its_fallbacks(settings: Any) -> None:
    settings.SECRET_KEY = "first-secret-key"
    stored = encrypt(SECRET)
    settings.SECRET_KEY = "second-secret-key"
    with pytest.raises(Permanent, match="enter the secret again") as refused:
        decrypt(stored)
    assert SECRET not in str(refused.value)
    settings.SECRET_KEY_FALLBACKS = ["first-secret-key"]
    assert decrypt(stored) == SECRET


@pytest.mark.parametrize("stored", ["", "not a token", "gAAAA", "ключ"])
def test_what_was_never_encrypted_is_an_error_that_names_the_remedy(stored: str) -> None:
    with pytest.raises(Permanent, match="secret_keys"):
        decrypt(stored)


@pytest.mark.tables
@pytest.mark.django_db
def test_after_rotation_the_old_key_can_be_dropped(settings: Any, capsys: pytest.CaptureFixture[str]) -> None:
    def use(*keys: str) -> None:
        settings.LMS_BADGES_CONFIG = {**settings.LMS_BADGES_CONFIG, "secret_keys": list(keys)}

    use("old-key")
    organization = CredlyOrganization(uuid=ORGANIZATION, name="Analytical Society")
    organization.token = SECRET
    organization.save()
    CredlyOrganization.objects.create(uuid="7b6f2c1e-2f55-4b1f-9d0c-3a3c7a1d9e02")  # one without a token

    use("new-key")
    with pytest.raises(CommandError, match=r"Nothing was changed\. .*Put the old key back"):
        call_command("badges_reencrypt")
    use("new-key", "old-key")
    call_command("badges_reencrypt")
    assert capsys.readouterr().out.startswith("Secrets encrypted with the newest key: 1.")
    use("new-key")
    assert CredlyOrganization.objects.get(uuid=ORGANIZATION).token == SECRET
    use("old-key")
    with pytest.raises(Permanent):
        _ = CredlyOrganization.objects.get(uuid=ORGANIZATION).token
