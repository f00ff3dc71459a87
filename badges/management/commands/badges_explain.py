"""Say why a person did or did not get a badge."""

from __future__ import annotations

import json
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import translation

from badges import api
from badges.exceptions import SeveralAccountsError, UnknownPersonError
from badges.models import BadgeTemplate
from badges.rest_api.v1.explanation_serializers import ExplanationSerializer


class Command(BaseCommand):
    """``badges_explain --template SLUG --learner WHO [--language CODE] [--json]``."""

    help = (
        "Say why a person did or did not get a badge, in sentences that can be sent to the person. For each step of a "
        "criteria document, and for a moment in the past, see badges_criteria explain."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--template", required=True, help="the slug of a template")
        parser.add_argument(
            "--learner",
            required=True,
            help="an LMS user id, a username, the e-mail address of an account, or the UUID of a learner",
        )
        parser.add_argument("--language", help="the language of the sentences, such as de; by default the site's")
        parser.add_argument("--json", action="store_true", help="write what GET /api/badges/v1/explain/ answers")

    def handle(self, *args: Any, **options: Any) -> None:
        language = options["language"] or settings.LANGUAGE_CODE
        if not translation.check_for_language(language):
            raise CommandError(f"--language: {language} is no language of Django. Write a code such as de or pt-br.")
        with translation.override(language):
            answer = _answer(options["learner"], options["template"])
            if options["json"]:
                self.stdout.write(json.dumps(ExplanationSerializer(answer).data, indent=2, default=str))
                return
            for sentence in api.answer_sentences(answer):
                self.stdout.write(sentence)


def _answer(person: str, template: str) -> api.Answer:
    try:
        return api.why(api.find_person(person), template)
    except BadgeTemplate.DoesNotExist as error:
        raise CommandError(f"There is no template {template}. The slug is on its page and in packs.") from error
    except UnknownPersonError as error:
        raise CommandError(
            "Nothing is known here of this person. Check the username, the e-mail address or the LMS user id."
        ) from error
    except SeveralAccountsError as error:
        raise CommandError(str(error)) from error
