"""A configuration is set up on one page, which also shows its state."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django_celery_beat.models import CrontabSchedule, IntervalSchedule, PeriodicTask

from credentials_config.models import CredentialConfiguration, CredentialStatus
from tests.admin.pages import errors, save
from tests.credentials_config.admin.pages import CONFIGURATIONS, page_of
from tests.credentials_config.factories import CredentialFactory, CredentialRunFactory, CredentialTypeFactory
from tests.factories import ALGEBRA, NOON
from tests.support.certificates import configure_certificate

ADD = f"{CONFIGURATIONS}add/"
pytestmark = pytest.mark.django_db


@pytest.fixture
def designer(staff: Callable[..., Any]) -> Any:
    """Somebody who makes and changes configurations."""
    verbs = ("view", "add", "change", "delete", "generate")
    return staff(*(f"{verb}_credentialconfiguration" for verb in verbs), "view_credentialtype")


@pytest.fixture
def kind() -> Any:
    return CredentialTypeFactory(
        name="Diploma", processor="completions", generator="text_generator", options={"required_completion": 0.9}
    )


def task_of(configuration: CredentialConfiguration) -> PeriodicTask:
    configuration.refresh_from_db()
    assert configuration.periodic_task is not None
    return configuration.periodic_task


def test_a_configuration_is_made_with_its_schedule(designer: Any, kind: Any) -> None:
    given = {"context_key": ALGEBRA, "credential_type": kind.pk, "enabled": "on", "every": 6, "period": "hours"}
    page = save(designer, ADD, **given)
    assert page.status_code == 302, errors(page)
    made = CredentialConfiguration.objects.get()
    task = task_of(made)
    assert (made.context_key, made.credential_type, made.options) == (ALGEBRA, kind, {})
    assert (task.interval.every, task.interval.period, task.crontab, task.enabled) == (6, "hours", None, True)
    assert "every 6 hours" in designer.get(CONFIGURATIONS).content.decode()


def test_a_schedule_by_the_calendar_has_a_time_zone(designer: Any) -> None:
    configuration = configure_certificate()
    given = {"schedule": "crontab", "crontab": "30 6 * * 1,5", "crontab_timezone": "Asia/Tokyo"}
    page = save(designer, page_of(configuration), **given)
    assert page.status_code == 302, errors(page)
    task = task_of(configuration)
    assert (task.interval, task.enabled) == (None, True)
    assert (task.crontab.minute, task.crontab.hour, task.crontab.day_of_week) == ("30", "6", "1,5")
    assert str(task.crontab.timezone) == "Asia/Tokyo"
    page = designer.get(page_of(configuration)).content.decode()
    assert 'value="30 6 * * 1,5"' in page
    assert '<option value="Asia/Tokyo" selected>' in page


def test_equal_schedules_are_shared_and_duplicates_do_no_harm(designer: Any) -> None:
    for _ in range(2):
        IntervalSchedule.objects.create(every=10, period="days")
    CrontabSchedule.objects.create(minute="5", timezone="UTC")
    CrontabSchedule.objects.create(minute="5", timezone="UTC")
    configuration = configure_certificate()
    assert save(designer, page_of(configuration), every=10, period="days").status_code == 302
    assert task_of(configuration).interval.every == 10
    assert save(designer, page_of(configuration), schedule="crontab", crontab="5 * * * *").status_code == 302
    assert task_of(configuration).crontab.minute == "5"
    assert (IntervalSchedule.objects.filter(every=10).count(), CrontabSchedule.objects.count()) == (2, 2)


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        ({"every": ""}, "Write how many."),
        ({"every": "0"}, "greater than or equal to 1"),
        ({"period": "weeks"}, "not one of the available choices"),
        ({"schedule": "crontab", "crontab": "* * *"}, "five parts"),
        ({"schedule": "crontab", "crontab": "61 * * * *"}, ""),
        ({"schedule": "crontab", "crontab": "x y z a b"}, ""),
        ({"schedule": "crontab", "crontab": "*/0 * * * *"}, ""),
        ({"schedule": "moon"}, "not one of the available choices"),
    ],
)
def test_a_schedule_that_can_never_fire_is_refused_and_the_old_one_stays(
    designer: Any, given: dict[str, Any], complaint: str
) -> None:
    configuration = configure_certificate()
    messages = errors(save(designer, page_of(configuration), **given))
    assert any(complaint in one for one in messages), messages
    assert (task_of(configuration).interval.every, task_of(configuration).interval.period) == (1, "days")


def test_a_schedule_that_the_form_cannot_show_stays_unchanged(designer: Any) -> None:
    configuration = configure_certificate()
    seconds = IntervalSchedule.objects.create(every=30, period="seconds")
    PeriodicTask.objects.filter(pk=configuration.periodic_task_id).update(interval=seconds)
    assert "as its periodic task says: every 30 seconds" in designer.get(page_of(configuration)).content.decode()
    assert save(designer, page_of(configuration), grace_hours=12).status_code == 302
    assert task_of(configuration).interval == seconds


def test_switching_it_off_here_switches_its_task_off(designer: Any) -> None:
    configuration = configure_certificate()
    assert task_of(configuration).enabled
    assert save(designer, page_of(configuration), enabled=None, every=3).status_code == 302
    assert (task_of(configuration).enabled, configuration.enabled) == (False, False)


@pytest.mark.parametrize(
    ("typed", "complaint"),
    [
        ("{", "Line 1, column 2: this is not JSON"),
        ('{\n "a": 1,\n "b" 2}', "Line 3, column 6: this is not JSON"),
        ("[]", "Write an object"),
        ('{"a": NaN}', "NaN is not a JSON number."),
        ('{"a": 1e999}', "Out of range"),
        ('{"a": 1, "a": 2}', "The key “a” occurs twice"),
        ('{"a": "\\u0000"}', "NUL"),
        ('{"a": "\\ud800"}', "half a character"),
        ("[" * 100_000, "nested too deeply"),
        ('{"a": ' + "9" * 5000 + "}", ""),
        ('{"required_completion": "much"}', "required_completion"),
        ('{"required_completon": 1}', "required_completion"),  # the plug-in knows what is nearly meant
        ('{"text_generator": 1}', "text_generator: it must be an object; write {}"),
    ],
)
def test_invalid_options_are_refused_with_an_error_on_the_field(designer: Any, typed: str, complaint: str) -> None:
    configuration = configure_certificate()
    page = save(designer, page_of(configuration), options=typed)
    assert any(complaint in message for message in errors(page)), errors(page)
    assert page.context["adminform"].form.errors.keys() == {"options"}
    configuration.refresh_from_db()
    assert configuration.options == {}


def test_the_form_shows_invalid_options_as_they_were_typed(designer: Any) -> None:
    page = save(designer, page_of(configure_certificate()), options='{"a":1,\n\n"text_generator"  :  "<b>"}')
    assert "{&quot;a&quot;:1,\n\n&quot;text_generator&quot;  :  &quot;&lt;b&gt;&quot;}" in page.content.decode()


def test_options_in_every_script_are_kept_and_shown_as_they_are(designer: Any) -> None:
    configuration = configure_certificate()
    assert save(designer, page_of(configuration), options='{"title": "证书 شهادة"}').status_code == 302
    configuration.refresh_from_db()
    assert configuration.options == {"title": "证书 شهادة"}
    assert "证书 شهادة" in designer.get(page_of(configuration)).content.decode()


def test_enabling_a_configuration_with_a_broken_template_is_refused(designer: Any) -> None:
    configuration = configure_certificate(enabled=False)
    broken = '{"text_generator": {"broken": true}}'
    assert save(designer, page_of(configuration), options=broken).status_code == 302
    page = save(designer, page_of(configuration), enabled="on")
    assert errors(page) == ["No document can be made: text_generator.broken: it is; repair it"]
    configuration.refresh_from_db()
    assert not configuration.enabled
    missing = save(designer, page_of(configuration), enabled="on", options='{"text_generator": {"asset": "red"}}')
    assert any("There is no asset 'red'; upload it" in message for message in errors(missing)), errors(missing)


def test_other_fields_can_be_changed_while_the_template_is_broken(designer: Any) -> None:
    configuration = configure_certificate(options={"text_generator": {"broken": True}})
    assert save(designer, page_of(configuration), grace_hours=3).status_code == 302
    assert save(designer, page_of(configuration), enabled=None).status_code == 302


@pytest.mark.parametrize("key", ["houba", "course-v1:Demo", "badge:1", " ", "course-v1:Demo+Algebra+2026\0"])
def test_contexts_that_the_processor_does_not_support_are_refused(designer: Any, kind: Any, key: str) -> None:
    page = save(designer, ADD, context_key=key, credential_type=kind.pk)
    assert page.context["adminform"].form.errors.keys() == {"context_key"}
    assert not CredentialConfiguration.objects.exists()


def test_a_plug_in_that_is_not_installed_is_named_with_the_remedy(designer: Any) -> None:
    gone = CredentialTypeFactory(processor="marsupial", generator="text_generator")
    page = save(designer, ADD, context_key=ALGEBRA, credential_type=gone.pk)
    assert any("No processor 'marsupial' is installed" in message for message in errors(page)), errors(page)


def test_a_type_is_given_once_in_a_context(designer: Any, kind: Any) -> None:
    configure_certificate(credential_type=kind)
    page = save(designer, ADD, context_key=ALGEBRA, credential_type=kind.pk)
    assert page.status_code == 200
    assert CredentialConfiguration.objects.count() == 1


@pytest.mark.parametrize(("availability", "field"), [("after_end", "days_after_end"), ("on_date", "available_on")])
def test_a_date_check_without_its_value_is_refused_with_an_error_on_the_field(
    designer: Any, availability: str, field: str
) -> None:
    page = save(designer, page_of(configure_certificate()), availability=availability)
    assert page.context["adminform"].form.errors == {field: ["This is needed for what you chose above."]}


def test_context_and_type_stay_whatever_is_sent(designer: Any) -> None:
    configuration = configure_certificate()
    other = CredentialTypeFactory()
    save(designer, page_of(configuration), context_key="course-v1:Else+1+1", credential_type=other.pk)
    configuration.refresh_from_db()
    assert configuration.context_key == ALGEBRA
    assert configuration.credential_type != other


def test_the_page_helps_with_the_options_of_its_types_plug_ins(designer: Any) -> None:
    page = designer.get(page_of(configure_certificate(credential_type__generator="pdf"))).content.decode()
    assert "required_completion: " in page
    assert "text_elements: " in page
    assert "required_grades" not in page
    assert "required_grades" in designer.get(ADD).content.decode()  # nothing is chosen yet


def test_the_page_shows_counts_last_runs_and_what_is_wrong(designer: Any) -> None:
    configuration = configure_certificate(problem="The font is missing; upload it.")
    CredentialFactory(configuration=configuration)
    CredentialFactory(configuration=configuration)
    CredentialFactory(configuration=configuration, status=CredentialStatus.EXPIRED)
    CredentialFactory(status=CredentialStatus.EXPIRED)
    CredentialRunFactory(configuration=configuration, run__note="Skipped for a <b>reason</b>.", run__done=4711)
    CredentialRunFactory(configuration=configuration, run__is_open=True, run__done=1234)
    page = designer.get(page_of(configuration)).content.decode()
    for phrase in (
        *("Problem: The font is missing; upload it.", "Try again what failed"),
        *("<strong>2</strong> available", "<strong>1</strong> expired", "<strong>0</strong> error"),
        *("Skipped for a &lt;b&gt;reason&lt;/b&gt;.", "4711", "going on", "1234"),
    ):
        assert phrase in page, phrase


def test_a_closed_configuration_says_since_when(designer: Any) -> None:
    configuration = configure_certificate()
    CredentialConfiguration.objects.filter(pk=configuration.pk).update(closed_at=NOON)
    assert "Closed since March 14, 2026, noon" in designer.get(page_of(configuration)).content.decode()
    assert "Closed since" in designer.get(CONFIGURATIONS).content.decode()


def test_a_configuration_with_credentials_cannot_be_deleted_and_an_unused_one_goes_with_task_and_runs(
    designer: Any,
) -> None:
    used, unused = configure_certificate(), configure_certificate()
    CredentialFactory(configuration=used)
    task = unused.periodic_task_id
    CredentialRunFactory(configuration=unused)
    page = designer.post(f"{CONFIGURATIONS}{used.pk}/delete/", {"post": "yes"})
    assert b"protected related objects" in page.content
    assert designer.post(f"{CONFIGURATIONS}{unused.pk}/delete/", {"post": "yes"}).status_code == 302
    assert list(CredentialConfiguration.objects.all()) == [used]
    assert not PeriodicTask.objects.filter(pk=task).exists()


def test_a_permission_to_view_shows_everything_and_changes_nothing(staff: Callable[..., Any]) -> None:
    client = staff("view_credentialconfiguration")
    configuration = configure_certificate(available_on=NOON + dt.timedelta(days=1))
    page = client.get(page_of(configuration)).content.decode()
    assert "every day" in page
    assert "Save" not in page
    assert "Preview" not in page
    assert client.post(page_of(configuration), {"enabled": ""}).status_code == 403
    assert client.get(ADD).status_code == 403


def test_the_list_costs_the_same_however_long_it_is(designer: Any) -> None:
    def cost() -> int:
        with CaptureQueriesContext(connection) as queries:
            assert designer.get(CONFIGURATIONS).status_code == 200
        return len(queries)

    configure_certificate()
    cost()
    one = cost()
    for _ in range(4):
        CredentialRunFactory(configuration=configure_certificate())
    assert cost() == one
