"""The host's settings are merged over defaults, and mistakes are reported."""

from __future__ import annotations

import copy

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


HOST = {"days": 7, "delivery": {"tries": 5}, "paths": "no dict", "unknown": 1}
over_host = Config("FRAME_CONFIG", DEFAULTS, host_setting="HOST_CONFIG", shared=("delivery", "paths"))
section = Config("FRAME_CONFIG", DEFAULTS, section="credly", host_setting="HOST_CONFIG")


def test_the_hosts_own_dict_gives_defaults_for_what_is_shared_and_is_never_changed(settings):
    settings.HOST_CONFIG = copy.deepcopy(HOST)
    assert (over_host.days, over_host.delivery["tries"], over_host.paths) == (14, 5, {})

    settings.FRAME_CONFIG = {"delivery": {"tries": 3}}
    assert over_host.delivery == {"notify_workers": None, "tries": 3}
    assert settings.HOST_CONFIG == HOST


def test_a_section_of_ours_is_over_the_same_section_of_the_hosts(settings):
    settings.HOST_CONFIG = {"days": 1, "credly": {"days": 2, "delivery": {"tries": 9}}}
    settings.FRAME_CONFIG = {"days": 3, "credly": {"delivery": {"notify_workers": True}}}
    assert (section.days, section.delivery) == (2, {"notify_workers": True, "tries": 9})


@pytest.mark.parametrize("odd", [None, [], {"credly": 5}, {"days": "soon"}])
def test_a_mistake_in_the_hosts_own_dict_is_not_ours_to_stop_at(settings, odd):
    settings.HOST_CONFIG = odd
    assert (over_host.delivery, section.days) == (DEFAULTS["delivery"], 14)
