"""The host's settings are merged over defaults, and mistakes are reported."""

from __future__ import annotations

import pytest
from django.core.exceptions import ImproperlyConfigured

from badges.common.config import Config
from credentials_config.conf import config as credentials_config

DEFAULTS = {"days": 14, "delivery": {"notify_workers": None, "tries": 24}, "paths": {}}
config = Config("FRAME_CONFIG", DEFAULTS)


def test_without_a_word_from_the_host_defaults_hold():
    assert (config.days, config.delivery, config.paths) == (14, {"notify_workers": None, "tries": 24}, {})


def test_a_dict_is_merged_over_a_dict_and_anything_else_replaces(settings):
    settings.FRAME_CONFIG = {"days": None, "delivery": {"tries": 3}, "paths": {"a": "b"}}

    assert (config.days, config.delivery, config.paths) == (None, {"notify_workers": None, "tries": 3}, {"a": "b"})
    assert DEFAULTS["delivery"] == {"notify_workers": None, "tries": 24}


def test_a_name_without_a_default_is_a_programming_error_even_if_the_host_has_it(settings):
    settings.FRAME_CONFIG = {"dais": 3}

    with pytest.raises(AttributeError, match="dais"):
        config.dais  # noqa: B018


def test_each_app_reads_its_own_dict_and_names_it_when_it_is_none(settings):
    settings.FRAME_CONFIG, settings.CREDENTIALS_CONFIG = {"days": 7}, ["public_url"]

    assert config.days == 7
    with pytest.raises(ImproperlyConfigured, match="CREDENTIALS_CONFIG must be a dict"):
        credentials_config.public_url  # noqa: B018
