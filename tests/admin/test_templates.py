"""What a designer of badges relies on."""

from __future__ import annotations

import json
import threading
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from badges.catalog import snapshot
from badges.catalog.api import export_template
from badges.conf import PASSING_STATUS
from badges.models import BadgeTemplate, DataRule
from tests.admin.pages import ADD, ALGEBRA, LIST, NEW, change, errors, fields, save
from tests.factories import (
    BadgeProgressFactory,
    FulfillmentFactory,
    UserCredentialFactory,
    credly_issuer,
    make_template,
    requirement,
    rule,
)

pytestmark = [pytest.mark.django_db, pytest.mark.tables]


@pytest.fixture
def designer(staff: Any, client: Any) -> Any:
    """Somebody who may do everything with templates, and has no permission for the tables of their parts."""
    names = ("add", "change", "delete", "view")
    client.force_login(staff(*(f"{name}_badgetemplate" for name in names), username="designer"))
    return client


def matching(course: str, *, passing: bool = True) -> list[str]:
    subject = {"is_passing": passing, "course": {"course_key": course}}
    return [found.template.slug for found in snapshot.current().matching(PASSING_STATUS, subject)]


def test_a_template_with_a_requirement_and_its_rules_is_made_on_one_page(designer: Any) -> None:
    page = save(
        designer,
        ADD,
        **NEW,
        is_active="on",
        r0_description="Pass algebra",
        r0_path0="is_passing",
        r0_value0="yes",
        **{"requirements-0-rules-1-path": "course.course_key", "requirements-0-rules-1-operator": "in"},
        **{"requirements-0-rules-1-value": f"{ALGEBRA}, course-v1:Demo+Other+2026"},
    )
    assert page.status_code == 302, errors(page)
    template = BadgeTemplate.objects.get(slug="algebra-star")
    made = export_template(template)["requirements"]
    assert made == [
        {
            "key": "requirement-1",
            "event_type": PASSING_STATUS,
            "group": None,
            "description": "Pass algebra",
            "rules": [
                {"path": "is_passing", "operator": "eq", "value": True},
                {"path": "course.course_key", "operator": "in", "value": [ALGEBRA, "course-v1:Demo+Other+2026"]},
            ],
        }
    ]
    assert matching(ALGEBRA) == ["algebra-star"]
    assert matching(ALGEBRA, passing=False) == []


def test_saving_leaves_a_revision_with_its_author_and_a_log_of_what_changed(designer: Any) -> None:
    template = make_template(requirements=[requirement("pass")])
    save(designer, change(template), name="Geometry star", r0_group="either")
    newest = template.revisions.order_by("-number").first()
    assert (newest.number, newest.author.username) == (2, "designer")
    assert json.loads(newest.document)["name"] == "Geometry star"
    entry = LogEntry.objects.get()
    assert entry.object_id == str(template.pk)
    assert 'requirements[pass].group: null → "either"' in entry.get_change_message()


def test_saving_a_page_as_it_is_changes_nothing(designer: Any) -> None:
    template = make_template(
        description="About it\nin two lines",
        requirements=[
            requirement("a", group="g"),
            {
                "key": "b",
                "event_type": PASSING_STATUS,
                "description": "Two\nlines",
                "rules": [
                    rule("is_passing", "exists", True),
                    rule("course.course_key", "in", ["a,b", " c "]),
                    rule("course.course_key", "between", [1, "2.50"]),
                    rule("course.course_key", "startsWith", '["'),
                    rule("course.course_key", "ne", ""),
                ],
            },
            requirement("c", course=None, rules=[]),
        ],
        issuers=[credly_issuer()],
    )
    before, rules = export_template(template), list(DataRule.objects.values_list("pk", flat=True))
    page = save(designer, change(template), description="About it\r\nin two lines")  # as a browser sends it
    assert page.status_code == 302, errors(page)
    template.refresh_from_db()
    assert export_template(template) == before
    assert list(DataRule.objects.values_list("pk", flat=True)) == rules
    assert template.revisions.count() == 1


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [
        ("months", " 18 ", {"months": 18}),
        ("each_year", "06-30", {"each_year": "06-30"}),
        ("", "", None),
    ],
)
def test_the_page_says_how_long_the_badge_holds(designer: Any, kind: str, value: str, expected: Any) -> None:
    template = make_template(expiry={"days": 3})
    sent = fields(designer, change(template))
    assert (sent["expiry_kind"], sent["expiry_value"]) == ("days", "3")
    page = save(designer, change(template), expiry_kind=kind, expiry_value=value)
    assert page.status_code == 302, errors(page)
    template.refresh_from_db()
    assert export_template(template).get("expiry") == expected


@pytest.mark.parametrize(
    ("kind", "value", "error"),
    [
        ("months", "0", "expected a whole number from 1 to 1200; got 0"),
        ("days", "", "expected a whole number from 1 to 36500; got empty text"),
        ("years", "²", "expected a whole number from 1 to 100"),
        ("each_year", "02-30", "there is no such day in any year"),
        ("", "3", "Choose what this number or day means"),
    ],
)
def test_a_wrong_expiry_is_refused_beside_its_field(designer: Any, kind: str, value: str, error: str) -> None:
    template = make_template(expiry={"days": 3})
    page = save(designer, change(template), expiry_kind=kind, expiry_value=value)
    assert any(error in each for each in errors(page)), errors(page)
    assert template.revisions.count() == 1


def test_rules_can_be_changed_added_and_removed(designer: Any) -> None:
    template = make_template(requirements=[requirement("pass")])
    page = save(
        designer,
        change(template),
        r0_removed0="on",
        r0_value1="course-v1:Other+1+1",
        r0_path2="is_passing",
        r0_operator2="ne",
        r0_value2="no",
    )
    assert page.status_code == 302, errors(page)
    assert [(kept.path, kept.operator, kept.value) for kept in DataRule.objects.order_by("pk")] == [
        ("course.course_key", "eq", "course-v1:Other+1+1"),
        ("is_passing", "ne", False),
    ]


def test_rules_that_nobody_touched_stay_as_they_are(designer: Any) -> None:
    rules = [rule("course.course_key", "ne", ""), rule("course.course_key", "in", ["a,b", " c "])]
    template = make_template(requirements=[requirement("pass", rules=rules)])
    page = save(designer, change(template), r0_description="Pass")
    assert page.status_code == 302, errors(page)
    demanded = export_template(template)["requirements"][0]
    assert (demanded["description"], demanded["rules"]) == ("Pass", rules)


def test_an_emptied_row_is_no_rule_any_more(designer: Any) -> None:
    template = make_template(requirements=[requirement("pass")])
    save(designer, change(template), r0_path0="", r0_value0="")
    assert [kept.path for kept in DataRule.objects.all()] == ["course.course_key"]


@pytest.mark.parametrize(
    ("path", "operator", "value", "expected"),
    [
        ("is_pasing", "eq", "true", "is_passing"),  # the near miss is named
        ("is_passing", "eq", "maybe", "true, false, yes or no"),
        ("is_passing", "gt", "true", "boolean, which gt cannot ask"),
        ("course.course_key", "regex", "(", "regular expression"),
        ("course.course_key", "between", "5", "two bounds"),
        ("course.course_key", "gte", "houba", "a number"),
        ("course.course_key", "sounds-like", "x", "there is no operator"),
        ("user.pii.email", "eq", "x@y.example", "may not be used in rules here"),
        ("course.course_key", "eq", "", "Write a value"),
        ("", "eq", "true", "there is no"),
        ("is_passing", "eq", "\0", "Null characters"),
        ("course.course_key", "in", ",".join(map(str, range(1001))), "at most 1000"),
    ],
)
def test_a_rule_that_cannot_be_meant_is_refused_where_it_stands(
    designer: Any, path: str, operator: str, value: str, expected: str
) -> None:
    page = save(designer, ADD, **NEW, r0_path0=path, r0_operator0=operator, r0_value0=value)
    assert any(expected in message for message in errors(page)), errors(page)
    assert not BadgeTemplate.objects.exists()


def test_what_was_typed_is_still_there_after_an_error(designer: Any) -> None:
    page = save(designer, ADD, **NEW, r0_path0="is_pasing", r0_operator0="ne", r0_value0="<b>&")
    text = page.content.decode()
    assert 'value="is_pasing"' in text
    assert 'value="&lt;b&gt;&amp;"' in text
    assert '<option value="ne" selected>' in text
    assert 'aria-invalid="true"' in text


def test_one_designers_errors_do_not_show_on_anothers_page(designer: Any) -> None:
    save(designer, ADD, **NEW, r0_path0="is_pasing", r0_value0="true")
    assert errors(designer.get(ADD)) == []


def test_requirements_without_rules_are_said_to_match_every_event(designer: Any) -> None:
    assert "Without rules, every event of this type counts." in designer.get(ADD).content.decode()
    page = save(designer, ADD, **NEW, is_active="on")
    assert page.status_code == 302
    assert matching("course-v1:Any+1+1", passing=False) == ["algebra-star"]


def test_who_activates_a_template_without_requirements_is_told_that_people_give_it(designer: Any) -> None:
    def told() -> bool:
        return "Only people give the badge empty" in designer.get(LIST).content.decode()

    assert save(designer, ADD, name="Empty", slug="empty").status_code == 302
    assert not told()
    assert save(designer, change(BadgeTemplate.objects.get(slug="empty")), is_active="on").status_code == 302
    assert told()
    assert matching(ALGEBRA) == []


def test_event_types_come_from_the_settings_when_the_page_is_opened(designer: Any, settings: Any) -> None:
    enrolled = "org.openedx.learning.course.enrollment.created.v1"
    assert enrolled not in designer.get(ADD).content.decode()
    settings.LMS_BADGES_CONFIG = {"events": [enrolled]}
    page = designer.get(ADD).content.decode()
    assert f'<option value="{enrolled}">' in page
    assert f'<datalist id="lms-badges-paths-{enrolled}">' in page
    assert '<option value="mode">text, the enrollment mode, such as audit, honor or verified</option>' in page
    assert "user.pii" not in page
    assert PASSING_STATUS not in page


def test_a_type_that_is_not_configured_any_more_is_shown_and_lets_the_rest_be_changed(
    designer: Any, settings: Any
) -> None:
    template = make_template(is_active=False)
    settings.LMS_BADGES_CONFIG = {"events": ["org.openedx.learning.course.enrollment.created.v1"]}
    assert "(not configured any more)" in designer.get(change(template)).content.decode()
    page = save(designer, change(template), r0_value0="false")
    assert any("is not configured here" in message for message in errors(page)), errors(page)
    page = save(designer, change(template), r0_removed="on", name="Renamed")
    assert page.status_code == 302, errors(page)


def test_a_removed_requirement_is_archived_with_what_learners_did_and_its_key_brings_it_back(designer: Any) -> None:
    template = make_template(requirements=[requirement("a"), requirement("b", course=None)])
    progress = BadgeProgressFactory(template=template)
    met = FulfillmentFactory(progress=progress, requirement=template.requirements.get(key="b"))
    page = save(designer, change(template), r1_removed="on")
    assert page.status_code == 302, errors(page)
    assert list(template.requirements.filter(archived_at=None).values_list("key", flat=True)) == ["a"]
    assert "requirements-1-event_type" not in fields(designer, change(template))
    added = {"requirements-TOTAL_FORMS": "2", "r1_event_type": PASSING_STATUS, "r1_key": "b", "r1_id": ""}
    page = save(designer, change(template), **added, **{"requirements-1-template": str(template.pk)})
    assert page.status_code == 302, errors(page)
    assert template.requirements.get(key="b", archived_at=None).pk == met.requirement_id


def test_two_requirements_with_one_key_are_refused(designer: Any) -> None:
    template = make_template(requirements=[requirement("a")])
    added = {"requirements-TOTAL_FORMS": "2", "r1_event_type": PASSING_STATUS, "r1_key": "a", "r1_id": ""}
    page = save(designer, change(template), **added, **{"requirements-1-template": str(template.pk)})
    assert errors(page) == ["Another requirement of this template has this key; write another one."]


def test_keys_that_nobody_wrote_are_made_and_clash_with_none(designer: Any) -> None:
    template = make_template(requirements=[requirement("requirement-1")])
    added = {"requirements-TOTAL_FORMS": "2", "r1_event_type": PASSING_STATUS, "r1_id": ""}
    save(designer, change(template), **added, **{"requirements-1-template": str(template.pk)})
    assert set(template.requirements.values_list("key", flat=True)) == {"requirement-1", "requirement-2"}


def test_issuers_are_added_changed_and_removed(designer: Any) -> None:
    template = make_template()
    added = {"issuers-TOTAL_FORMS": "1", "i0_provider": "credly", "i0_organization": "org-1", "i0_id": ""}
    page = save(designer, change(template), **added, i0_external_template="two words")
    assert errors(page) == ["Write it without spaces."]
    page = save(designer, change(template), **added, i0_external_template="t-1")
    assert page.status_code == 302, errors(page)
    save(designer, change(template), i0_organization="org-2")
    assert export_template(template)["issuers"] == [{"provider": "credly", "organization": "org-2", "template": "t-1"}]
    save(designer, change(template), **{"issuers-0-DELETE": "on"})
    assert export_template(template)["issuers"] == []


def test_a_provider_twice_is_refused(designer: Any) -> None:
    sent = {"issuers-TOTAL_FORMS": "2"}
    for number in (0, 1):
        sent |= {f"i{number}_provider": "credly", f"i{number}_organization": "o", f"i{number}_external_template": "t"}
    page = save(designer, ADD, **NEW, **sent)
    assert any("provider" in message for message in errors(page)), errors(page)


@pytest.mark.parametrize("slug", ["two words", "a/b", "a?b", "a\0b", "x" * 151, ""])
def test_a_slug_that_could_not_stand_in_an_address_is_refused(designer: Any, slug: str) -> None:
    assert errors(save(designer, ADD, **{**NEW, "slug": slug}))


def test_a_slug_that_is_taken_is_refused(designer: Any) -> None:
    taken = make_template(slug="taken")
    page = save(designer, ADD, **{**NEW, "slug": "taken"})
    assert any("already exists" in message for message in errors(page)), errors(page)
    taken.refresh_from_db()
    assert taken.revisions.count() == 1


def test_slugs_that_differ_only_in_case_are_two(designer: Any) -> None:
    make_template(slug="Star")
    assert save(designer, ADD, **{**NEW, "slug": "star"}).status_code == 302


def test_the_slug_and_keys_stay_whatever_is_sent(designer: Any) -> None:
    template = make_template(slug="stays", requirements=[requirement("stays-too")])
    save(designer, change(template), slug="else", r0_key="else", name="Renamed")
    template.refresh_from_db()
    assert (template.slug, template.name) == ("stays", "Renamed")
    assert template.requirements.get().key == "stays-too"


def test_names_in_every_script_are_kept(designer: Any) -> None:
    save(designer, ADD, **{**NEW, "name": "نجمة الجبر 代数之星", "slug": "نجمة"})
    assert BadgeTemplate.objects.get().name == "نجمة الجبر 代数之星"


def test_two_designers_do_not_overwrite_each_other(designer: Any) -> None:
    template = make_template()
    sent = fields(designer, change(template))
    save(designer, change(template), name="First")
    page = designer.post(change(template), {**sent, "name": "Second"})
    assert any("Somebody saved this template since you opened it" in message for message in errors(page))
    template.refresh_from_db()
    assert template.name == "First"


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("new", [True, False])
def test_of_designers_who_press_save_at_the_same_moment_one_is_first_and_the_others_are_told(
    designer: Any, staff: Any, new: bool
) -> None:
    if new:
        address, sent = ADD, fields(designer, ADD) | {"slug": "spirou"}
    else:
        template = make_template(slug="spirou")
        address, sent = change(template), fields(designer, change(template))
    clients = []
    for number in range(3):
        clients.append(Client())
        clients[-1].force_login(staff("add_badgetemplate", "change_badgetemplate", username=f"designer {number}"))
    pages: dict[int, Any] = {}
    start = threading.Barrier(len(clients))

    def press_save(number: int) -> None:
        try:
            start.wait(timeout=60)
            pages[number] = clients[number].post(address, sent | {"name": f"Name {number}"})
        finally:
            connection.close()

    threads = [threading.Thread(target=press_save, args=(number,)) for number in range(len(clients))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=120)
    first = [number for number, page in pages.items() if page.status_code == 302]
    told = [errors(page) for page in pages.values() if page.status_code == 200]
    assert (len(first), len(told)) == (1, 2)
    assert all(message for message in told)
    assert BadgeTemplate.objects.get().name == f"Name {first[0]}"


def test_a_form_that_was_tampered_with_is_refused_and_not_a_500(designer: Any) -> None:
    template = make_template()
    for changed in (
        {"requirements-TOTAL_FORMS": "x"},
        {"requirements-TOTAL_FORMS": "99999"},
        {"requirements-INITIAL_FORMS": None},
        {"r0_id": "424242"},
        {"r0_id": "\0"},
        {"r0_event_type": "houba"},
        {"opened_revision": "9" * 5000},
        {"opened_revision": None},  # what its author saw is not known
        {"opened_revision": "0"},
    ):
        page = save(designer, change(template), **changed)
        assert page.status_code in (200, 400), changed
    assert template.revisions.count() == 1


def test_active_and_used_templates_cannot_be_deleted_and_others_can(designer: Any) -> None:
    active = make_template()
    used = make_template(is_active=False)
    BadgeProgressFactory(template=used)
    held = make_template(is_active=False)
    UserCredentialFactory(template=held)
    for template in (active, used, held):
        page = designer.post(f"{LIST}{template.pk}/delete/", {"post": "yes"})
        assert page.status_code == 403
    unused = make_template(is_active=False)
    assert designer.get(f"{LIST}{unused.pk}/delete/").status_code == 200
    assert designer.post(f"{LIST}{unused.pk}/delete/", {"post": "yes"}).status_code == 302
    assert set(BadgeTemplate.objects.all()) == {active, used, held}
    page = designer.post(LIST, {"action": "delete_selected", "_selected_action": [active.pk], "post": "yes"})
    assert BadgeTemplate.objects.filter(pk=active.pk).exists()


def click(client: Any, action: str, *templates: BadgeTemplate) -> Any:
    chosen = {"action": action, "_selected_action": [template.pk for template in templates]}
    return client.post(f"{LIST}?archived=all", chosen, follow=True).content.decode()


def test_archived_templates_match_nothing_and_can_be_brought_back(designer: Any) -> None:
    template = make_template(slug="marsupial")
    UserCredentialFactory(template=template)
    assert "1 template was changed." in click(designer, "archive", template)
    template.refresh_from_db()
    assert (template.is_active, template.archived_at is None) == (False, False)
    assert matching(ALGEBRA) == []
    assert "marsupial" not in designer.get(LIST).content.decode()
    assert "Save and continue" not in designer.get(change(template)).content.decode()
    click(designer, "activate", template)
    template.refresh_from_db()
    assert template.archived_at is not None
    click(designer, "unarchive", template)
    template.refresh_from_db()
    assert (template.is_active, template.archived_at) == (False, None)


def test_templates_are_switched_on_and_off_and_empty_ones_say_that_people_give_them(designer: Any) -> None:
    empty, full = make_template(is_active=False, requirements=[]), make_template(is_active=False)
    page = click(designer, "activate", empty, full)
    assert f"Only people give the badge {empty.slug}" in page
    assert f"Only people give the badge {full.slug}" not in page
    assert [BadgeTemplate.objects.get(pk=row.pk).is_active for row in (empty, full)] == [True, True]
    assert full.revisions.count() == 2
    click(designer, "deactivate", full)
    assert matching(ALGEBRA) == []


def test_who_may_only_view_sees_rules_in_words_and_no_buttons(staff: Any, client: Any) -> None:
    client.force_login(staff("view_badgetemplate"))
    template = make_template(requirements=[requirement("a"), requirement("b", rules=[])], issuers=[credly_issuer()])
    page = client.get(change(template)).content.decode()
    assert f"is_passing is true and course.course_key is {ALGEBRA}" in page
    assert f"Every event of the type {PASSING_STATUS} counts." in page
    assert "Save" not in page
    assert 'name="action"' not in client.get(LIST).content.decode()
    assert client.post(change(template), {"name": "x"}).status_code == 403
    assert client.get(ADD).status_code == 403
    client.post(LIST, {"action": "archive", "_selected_action": [template.pk]})
    template.refresh_from_db()
    assert template.archived_at is None


def test_who_may_not_even_view_sees_nothing(staff: Any, client: Any) -> None:
    client.force_login(staff("view_usercredential"))
    template = make_template()
    assert client.get(LIST).status_code == 403
    assert client.get(change(template)).status_code == 403
    assert "badgetemplate" not in client.get("/admin/").content.decode()


def test_revisions_are_shown_with_what_changed_and_cannot_be_touched(staff: Any, client: Any) -> None:
    client.force_login(staff("view_templaterevision"))
    template = make_template(slug="a", name="<b>Old</b>")
    make_template(slug="a", name="New")
    assert template.revisions.count() == 2
    newest = template.revisions.latest("number")
    page = client.get(f"/admin/lms_badges/templaterevision/{newest.pk}/change/").content.decode()
    assert "name: &quot;&lt;b&gt;Old&lt;/b&gt;&quot; → &quot;New&quot;" in page
    assert client.post(f"/admin/lms_badges/templaterevision/{newest.pk}/change/", {"number": 9}).status_code == 403
    assert client.post(f"/admin/lms_badges/templaterevision/{newest.pk}/delete/", {"post": "yes"}).status_code == 403


def test_pages_cost_the_same_however_many_rows_they_show(designer: Any) -> None:
    def cost(address: str) -> int:
        designer.get(address)
        with CaptureQueriesContext(connection) as queries:
            assert designer.get(address).status_code == 200
        return len(queries)

    small = make_template(requirements=[requirement("a")], issuers=[credly_issuer()])
    one_row, one_requirement = cost(LIST), cost(change(small))
    for _ in range(4):
        make_template()
    large = make_template(requirements=[requirement(f"r{number}") for number in range(6)], issuers=[credly_issuer()])
    assert cost(LIST) == one_row
    assert cost(change(large)) == one_requirement


def test_a_template_with_more_requirements_than_a_request_may_have_fields_is_changed_in_packs(
    designer: Any, settings: Any
) -> None:
    template = make_template(requirements=[requirement(f"r{number:03}") for number in range(250)])
    before = export_template(template)
    page = designer.get(change(template)).content.decode()
    assert "Change them in a pack" in page
    assert page.count(f"course.course_key is {ALGEBRA}") == 250
    page = save(designer, change(template), name="Renamed")
    assert page.status_code == 302, errors(page)
    template.refresh_from_db()
    assert export_template(template) == before | {"name": "Renamed"}
