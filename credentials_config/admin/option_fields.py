"""The form field of options: JSON with errors that name the line, and the checks and help texts of the plug-ins."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.forms import JSONField
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from badges.exceptions import Permanent
from credentials_config import registry


class OptionsField(JSONField):
    """A JSON object. Error messages name the line."""

    widget = forms.Textarea(attrs={"rows": 18, "cols": 80, "spellcheck": "false", "class": "vLargeTextField"})

    def to_python(self, value: Any) -> Any:
        if self.disabled or isinstance(value, Mapping):
            return value
        text = str(value or "").strip()
        return read(text) if text else {}

    def bound_data(self, data: Any, initial: Any) -> Any:
        return data

    def prepare_value(self, value: Any) -> Any:
        """Return the text as it was typed."""
        return value if isinstance(value, str) else json.dumps(value or {}, ensure_ascii=False, indent=2)

    def clean(self, value: Any) -> Any:
        return self.to_python(value)


def read(text: str) -> dict[str, Any]:
    """Return options from their text. Raises ValidationError, with the line where there is one."""
    try:
        options = json.loads(text, object_pairs_hook=_object, parse_constant=_no_number)
        # Find what some databases refuse to store.
        stored = json.dumps(options, ensure_ascii=False, allow_nan=False)
        stored.encode()
    except json.JSONDecodeError as error:
        raise ValidationError(
            _("Line %(line)s, column %(column)s: this is not JSON (%(what)s).")
            % {"line": error.lineno, "column": error.colno, "what": error.msg}
        ) from None
    except UnicodeEncodeError:
        raise ValidationError(_("There is half a character in it (\\ud800 to \\udfff); take it out.")) from None
    except RecursionError:
        raise ValidationError(_("It is nested too deeply.")) from None
    except ValueError as error:  # a number that is too long or too large, or an error of the functions below
        raise ValidationError(str(error)) from None
    if "\0" in stored or "\\u0000" in stored:
        raise ValidationError(_("There is a NUL character in it (\\u0000); take it out."))
    if not isinstance(options, dict):
        raise ValidationError(_("Write an object: {…}."))
    return options


def plugin_choices(plugins: Mapping[str, Any], current: str) -> list[tuple[str, Any]]:
    """Return the choices of plug-ins. One that is not installed any more stays a choice of the rows that use it."""
    choices = [(slug, f"{plugin.title} ({slug})") for slug, plugin in plugins.items()]
    if current and current not in plugins:
        choices.append((current, _("%(slug)s (not installed or broken)") % {"slug": current}))
    return choices


def findings(processor: str, generator: str, options: Mapping[str, Any]) -> list[str]:
    """Return the errors that the plug-ins find in options, each with its remedy."""
    found: list[str] = []
    for get, slug in ((registry.processor, processor), (registry.generator, generator)):
        try:
            found += map(str, get(slug).clean_options(options))
        except Permanent as error:
            found.append(str(error))
    return found


def option_help(processor: str | None = None, generator: str | None = None) -> SafeString:
    """Return the help texts of these plug-ins on their options; without slugs, those of all plug-ins."""
    processors = _chosen(registry.processors(), processor)
    generators = _chosen(registry.generators(), generator)
    parts = [(_("Who gets it"), plugin) for plugin in processors] + [
        (_("What they get"), plugin) for plugin in generators
    ]
    opened = SafeString(" open") if processor else ""
    items = ((opened, title, plugin.title, plugin.slug, plugin.option_help) for title, plugin in parts)
    return format_html(
        '<div class="lms-cc-help">{}</div>',
        format_html_join("", "<details{}><summary>{}: {} ({})</summary><p>{}</p></details>", items),
    )


def _chosen(plugins: Mapping[str, Any], slug: str | None) -> list[Any]:
    return [plugin for name, plugin in plugins.items() if slug is None or name == slug]


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        twice = next(key for key, _value in pairs if sum(key == other for other, _more in pairs) > 1)
        raise ValueError(_("The key “%(key)s” occurs twice in one object; remove one.") % {"key": twice})
    return found


def _no_number(word: str) -> Any:
    raise ValueError(_("%(word)s is not a JSON number.") % {"word": word})


OPTIONS_HELP = gettext_lazy("A JSON object. The possible options are listed below.")
