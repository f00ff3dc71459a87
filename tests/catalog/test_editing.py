"""Saving templates: documents are validated first, changes write a revision, and every process is notified."""

import datetime as dt
import json

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from badges.catalog import editing, snapshot
from badges.catalog.api import (
    DocumentError,
    Outcome,
    archive_template,
    bump_version,
    export_template,
    problems_of,
    save_template,
)
from badges.catalog.editing import Draft
from badges.catalog.models import BadgeRequirement, BadgeTemplate, CatalogVersion, DataRule, TemplateRevision
from badges.catalog.validation import read_template
from badges.conf import CCX_PASSING_STATUS, PASSING_STATUS
from badges.pipeline import handle
from badges.progress.models import BadgeProgress
from tests.factories import (
    ALGEBRA,
    GEOMETRY,
    NOON,
    UserFactory,
    credly_issuer,
    make_passing,
    make_template,
    requirement,
    rule,
    template_entry,
)

pytestmark = [pytest.mark.django_db, pytest.mark.tables]

LATER = NOON + dt.timedelta(hours=5)


def version() -> int:
    return CatalogVersion.objects.get().number


def saved(entry: dict, now: dt.datetime = NOON, **given):
    return save_template({**entry, **given}, now=now)


def problems(entry: dict) -> list[str]:
    with pytest.raises(DocumentError) as refused:
        save_template(entry, now=NOON)
    return [str(problem) for problem in refused.value.problems]


# Creating and updating


def test_a_new_template_is_stored_with_all_it_demands():
    entry = template_entry(
        slug="schtroumpf",
        description="blue",
        image_url="https://example.org/blue.png",
        award_once=True,
        issuers=[credly_issuer(organization="org-7", template="tpl-9")],
        requirements=[requirement("b", group="g"), requirement("a", course=None, description="any course")],
    )
    item = save_template(entry, now=NOON)
    template = BadgeTemplate.objects.get()
    assert item.outcome is Outcome.CREATED
    assert item.stored.template == template
    assert (template.slug, template.description, template.award_once) == ("schtroumpf", "blue", True)
    assert template.image_url == "https://example.org/blue.png"
    issuer = template.issuers.get()
    assert (issuer.provider, issuer.organization, issuer.external_template) == ("credly", "org-7", "tpl-9")
    b, a = template.requirements.order_by("id").values_list("key", "group", "description")
    assert {b, a} == {("b", "g", ""), ("a", None, "any course")}
    rules = DataRule.objects.filter(requirement__key="b").order_by("id").values_list("path", "operator", "value")
    assert list(rules) == [("is_passing", "eq", True), ("course.course_key", "eq", ALGEBRA)]


def test_the_first_revision_is_what_an_export_says():
    author = UserFactory()
    template = make_template(author=author)
    revision = template.revisions.get()
    assert (revision.number, revision.author) == (1, author)
    document = json.loads(revision.document)
    assert {key: document[key] for key in export_template(template)} == export_template(template)


def test_saving_the_same_again_changes_nothing():
    entry = template_entry(issuers=[credly_issuer()])
    saved(entry)
    rules, before = set(DataRule.objects.values_list("pk", flat=True)), version()
    again = saved(entry, now=LATER)
    assert (again.outcome, again.changes) == (Outcome.UNCHANGED, [])
    assert BadgeTemplate.objects.get().revisions.count() == 1
    assert set(DataRule.objects.values_list("pk", flat=True)) == rules
    assert version() == before


def test_the_order_of_requirements_and_issuers_is_no_difference():
    first, second = requirement("one"), requirement("two", course=GEOMETRY)
    entry = template_entry(requirements=[first, second])
    saved(entry)
    assert saved(entry, requirements=[second, first]).outcome is Outcome.UNCHANGED


def test_a_change_says_what_changed_and_leaves_a_revision():
    entry = template_entry(slug="houba", name="Houba")
    saved(entry)
    before = version()
    item = saved(
        entry,
        now=LATER,
        name="Houba houba",
        issuers=[credly_issuer("org-1", "tpl-2")],
        requirements=[requirement(group="g", rules=[rule("is_passing", "eq", "yes")]), requirement("new", course=None)],
    )
    assert item.outcome is Outcome.UPDATED
    assert list(map(str, item.changes)) == [
        'name: "Houba" → "Houba houba"',
        "issuers[credly]: added org-1/tpl-2",
        f"requirements[new]: added {PASSING_STATUS} is_passing eq true",
        'requirements[pass].group: null → "g"',
        f'requirements[pass].rules: is_passing eq true and course.course_key eq "{ALGEBRA}" → is_passing eq true',
    ]
    template = BadgeTemplate.objects.get()
    assert (template.name, template.modified_at) == ("Houba houba", LATER)
    assert list(template.revisions.order_by("number").values_list("number", flat=True)) == [1, 2]
    assert json.loads(template.revisions.get(number=2).document)["name"] == "Houba houba"
    assert version() != before


def test_rules_are_replaced_only_where_they_changed():
    entry = template_entry(requirements=[requirement("kept"), requirement("other", course=GEOMETRY)])
    saved(entry)
    kept = set(DataRule.objects.filter(requirement__key="kept").values_list("pk", flat=True))
    saved(entry, requirements=[requirement("kept"), requirement("other", course=None)])
    assert set(DataRule.objects.filter(requirement__key="kept").values_list("pk", flat=True)) == kept
    assert DataRule.objects.filter(requirement__key="other").count() == 1


def test_a_removed_requirement_is_archived_and_comes_back_as_itself():
    entry = template_entry(requirements=[requirement("stays"), requirement("goes", course=GEOMETRY)])
    saved(entry)
    goes = BadgeRequirement.objects.get(key="goes")
    removed = saved(entry, now=LATER, requirements=[requirement("stays")])
    goes.refresh_from_db()
    assert goes.archived_at == LATER
    assert [change.path for change in removed.changes] == ["requirements[goes]"]
    assert [r["key"] for r in export_template(goes.template)["requirements"]] == ["stays"]
    saved(entry)
    goes.refresh_from_db()
    assert goes.archived_at is None
    assert goes.rules.count() == 2


def test_an_issuer_is_changed_in_place_and_removed():
    entry = template_entry(issuers=[credly_issuer("org-1", "tpl-1")])
    saved(entry)
    changed = saved(entry, issuers=[credly_issuer("org-1", "tpl-2")])
    assert list(map(str, changed.changes)) == ['issuers[credly].template: "tpl-1" → "tpl-2"']
    assert list(map(str, saved(entry, issuers=[]).changes)) == ["issuers[credly]: removed org-1/tpl-2"]
    assert BadgeTemplate.objects.get().issuers.count() == 0


def test_slugs_and_keys_that_differ_only_in_case_are_two():
    upper = make_template(slug="Abc-1", requirements=[requirement("Key"), requirement("key")])
    lower = make_template(slug="abc-1")
    assert upper != lower
    assert upper.requirements.count() == 2
    assert {template.slug for template in BadgeTemplate.objects.all()} == {"Abc-1", "abc-1"}


@pytest.mark.parametrize("name", ["نجمة الجبر", "代数之星", "Étoile 🏅", 'say "hi" \\ <b>'])
def test_names_in_any_script_come_back_as_they_were(name):
    template = make_template(name=name, slug="jóse-代数", requirements=[requirement("مفتاح", group="群")])
    template.refresh_from_db()
    entry = export_template(template)
    assert (entry["name"], entry["slug"]) == (name, "jóse-代数")
    assert [(r["key"], r["group"]) for r in entry["requirements"]] == [("مفتاح", "群")]


def test_a_uuid_is_kept_and_never_changed():
    uuid = "0190B5A4-7D1E-7C3A-9F00-1234567890AB"
    entry = template_entry(slug="spip", uuid=uuid)
    saved(entry)
    assert str(BadgeTemplate.objects.get().uuid) == uuid.lower()
    assert saved(entry, uuid=None).outcome is Outcome.UNCHANGED
    other = "0190b5a4-7d1e-7c3a-9f00-000000000000"
    assert problems({**entry, "uuid": other}) == [
        f"uuid: this template has the UUID {uuid.lower()}, which never changes; write that"
    ]
    assert problems({**entry, "slug": "fantasio"}) == [
        "uuid: this is the UUID of the template spip; write that slug, or leave the uuid out"
    ]


def test_an_archived_template_comes_back_when_it_is_saved():
    entry = template_entry()
    template = saved(entry).stored.template
    archive_template(template, author=None, now=LATER)
    template.refresh_from_db()
    assert (template.is_active, template.archived_at) == (False, LATER)
    assert snapshot.current().indexes == {}
    back = saved(entry)
    assert [str(change) for change in back.changes] == ["archived: true → false", "is_active: false → true"]
    assert PASSING_STATUS in snapshot.current().indexes


# What is refused


def test_all_problems_are_told_at_once_with_their_places():
    entry = template_entry(
        slug="a b",
        nmae="x",
        requirements=[
            requirement(event_type="org.openedx.learning.course.passing.status.updated.v2"),
            requirement(rules=[rule("is_passing", "eq", "perhaps")]),
        ],
    )
    assert [problem.partition(":")[0] for problem in problems(entry)] == ["nmae", "slug"]
    del entry["nmae"]
    entry["slug"] = "a-b"
    assert problems(entry) == [
        "requirements[0].event_type: there is no event type org.openedx.learning.course.passing.status.updated.v2; "
        f"write {PASSING_STATUS} or {CCX_PASSING_STATUS}",
        "requirements[1].rules[0].value: is_passing eq: expected true, false, yes or no",
        "requirements[1].key: pass stands here twice; write another, or merge them",
    ]
    assert BadgeTemplate.objects.count() == 0


@pytest.mark.parametrize(
    ("wrong", "expected"),
    [
        (rule("is_passin", "eq", True), "rules[0].path: there is no 'is_passin' in this event; write is_passing"),
        (rule("user.id", "eq", 5), "rules[0].path: user.id may not be used in rules here"),
        (rule("is_passing", "equals", True), "rules[0].operator: there is no operator 'equals'"),
        (rule("is_passing", "gt", True), "rules[0].operator: is_passing is boolean, which gt cannot ask"),
        (rule("course.course_key", "regex", "(?=x)"), "rules[0].value: course.course_key regex: expected"),
    ],
)
def test_a_rule_that_cannot_be_meant_is_refused_with_what_to_write(wrong, expected):
    (problem,) = problems(template_entry(requirements=[requirement(rules=[wrong])]))
    assert problem.startswith(f"requirements[0].{expected}")


def test_an_event_type_that_exists_and_is_not_configured_names_the_setting():
    enrollment = "org.openedx.learning.course.enrollment.created.v1"
    assert problems(template_entry(requirements=[requirement(event_type=enrollment, rules=[])])) == [
        f"requirements[0].event_type: {enrollment} is not configured here; add it to LMS_BADGES_CONFIG['events']"
    ]


def test_an_event_type_without_learner_is_refused(settings):
    settings.LMS_BADGES_CONFIG = {"events": ["org.openedx.learning.xblock.skill.verified.v1"]}
    (problem,) = problems(
        template_entry(requirements=[requirement(event_type=settings.LMS_BADGES_CONFIG["events"][0], rules=[])])
    )
    assert problem.startswith("requirements[0].event_type: events of this type do not say which learner")


def test_an_active_template_without_requirements_is_earned_by_no_event():
    assert saved(template_entry(slug="helping-hand", requirements=[])).outcome is Outcome.CREATED
    assert handle([make_passing()]).awarded == 0
    assert not BadgeProgress.objects.exists()


def test_a_provider_nobody_issues_at_and_one_twice_are_refused():
    issuers = [credly_issuer(template="a"), credly_issuer(template="b"), {**credly_issuer(), "provider": "credy"}]
    assert problems(template_entry(issuers=issuers)) == [
        "issuers[1].provider: credly stands here twice; write another, or merge them",
        "issuers[2].provider: no installed provider is called credy; write credly",
    ]


@pytest.mark.parametrize("text", ["a\0b", "a\ud800b"])
@pytest.mark.parametrize("key", ["slug", "name", "description"])
def test_text_that_some_database_would_refuse_is_refused(key, text):
    assert problems(template_entry(**{key: text})) == [
        f"{key}: expected text without NUL characters and broken surrogates"
    ]


def test_nothing_is_saved_when_one_of_many_is_refused():
    make_template(slug="taken", uuid="0190b5a4-7d1e-7c3a-9f00-000000000001")
    entries = [template_entry(), template_entry(uuid="0190b5a4-7d1e-7c3a-9f00-000000000001")]
    drafts = [Draft(f"templates[{i}]", read_template(entry)[0]) for i, entry in enumerate(entries)]
    before = version()
    with pytest.raises(DocumentError, match=r"templates\[1\]\.uuid: this is the UUID of the template taken"):
        editing.save(drafts, author=None, now=NOON)
    assert BadgeTemplate.objects.count() == 1
    assert version() == before


# Rows that are changed by hand


def events_that_count(course: str = ALGEBRA) -> list[str]:
    """Return the slugs of the templates for which passing a course counts now."""
    subject = {"is_passing": True, "course": {"course_key": course}}
    return [found.template.slug for found in snapshot.current().matching(PASSING_STATUS, subject)]


def change_rows_by_hand(template: BadgeTemplate) -> None:
    BadgeTemplate.objects.filter(pk=template.pk).update(name="by hand")
    template.issuers.all().delete()
    DataRule.objects.filter(requirement__template=template, path="course.course_key").update(value=GEOMETRY)
    bump_version()


def test_a_change_of_rows_by_hand_changes_nothing_that_the_revision_says():
    template = make_template(slug="spirou", name="before", issuers=[credly_issuer()])
    document = export_template(template)
    change_rows_by_hand(template)
    assert (events_that_count(ALGEBRA), events_that_count(GEOMETRY)) == (["spirou"], [])
    assert export_template(BadgeTemplate.objects.get()) == document
    assert save_template(document, now=LATER).outcome is Outcome.UNCHANGED


def test_rebuilding_writes_the_rows_as_the_revisions_say_and_tells_what_differed():
    template = make_template(slug="spirou", name="before", issuers=[credly_issuer()])
    make_template()
    change_rows_by_hand(template)
    (planned,) = editing.rebuild(author=None, now=LATER, dry_run=True)
    paths = ["name", "issuers[credly]", "requirements[pass].rules"]
    assert [change.path for change in planned.changes] == paths
    assert template.issuers.count() == 0
    (rebuilt,) = editing.rebuild(author=None, now=LATER)
    assert rebuilt.changes == planned.changes
    template.refresh_from_db()
    assert (template.name, template.issuers.count()) == ("before", 1)
    assert DataRule.objects.get(requirement__template=template, path="course.course_key").value == ALGEBRA
    assert editing.rebuild(author=None, now=LATER) == []


def test_a_requirement_whose_row_was_deleted_by_hand_counts_again_after_rebuilding(caplog):
    make_template(slug="spirou")
    template = make_template(slug="fantasio")
    template.requirements.all().delete()
    assert events_that_count() == ["spirou"]
    assert "badges_rebuild_catalog" in caplog.text
    editing.rebuild(author=None, now=LATER)
    assert events_that_count() == ["spirou", "fantasio"]


def test_a_template_whose_rows_were_inserted_by_hand_counts_once_it_has_a_revision(caplog):
    template = BadgeTemplate.objects.create(slug="spip", name="Spip", is_active=True)
    row = BadgeRequirement.objects.create(template=template, key="pass", event_type=PASSING_STATUS)
    DataRule.objects.create(requirement=row, path="is_passing", operator="eq", value=True)
    assert events_that_count() == []
    assert "it has no revision" in caplog.text
    (rebuilt,) = editing.rebuild(author=None, now=LATER)
    assert list(map(str, rebuilt.changes)) == ["revision: added 1"]
    assert events_that_count() == ["spip"]


def test_rebuilding_leaves_archived_templates_in_the_archive():
    template = make_template(name="before")
    archive_template(template, author=None, now=LATER)
    BadgeTemplate.objects.update(name="by hand")
    editing.rebuild(author=None, now=LATER)
    template.refresh_from_db()
    assert (template.name, template.archived_at, template.is_active) == ("before", LATER, False)


def test_every_process_is_told_of_changes_that_it_has_to_compile():
    template = make_template()
    seen = {version()}
    for change in (
        lambda: template.save(),
        lambda: template.current_revision.save(),
        lambda: template.requirements.get().save(),
    ):
        change()
        assert version() not in seen
        seen.add(version())


def test_a_template_and_its_revisions_are_deleted_together():
    template = make_template()
    save_template({**export_template(template), "name": "other"}, now=LATER)
    BadgeTemplate.objects.get().delete()
    assert (BadgeTemplate.objects.count(), TemplateRevision.objects.count()) == (0, 0)
    assert events_that_count() == []


def test_why_a_stored_template_could_not_be_saved_any_more_can_be_asked(settings):
    template = make_template()
    assert problems_of(template) == []
    settings.LMS_BADGES_CONFIG = {"events": [CCX_PASSING_STATUS]}
    assert [problem.path for problem in problems_of(template)] == ["requirements[0].event_type"]


# The price


def test_saving_many_costs_as_many_statements_as_saving_few():
    def statements(count: int) -> int:
        entries = [template_entry(issuers=[credly_issuer()]) for _ in range(count)]
        drafts = [Draft("", read_template(entry)[0]) for entry in entries]
        with CaptureQueriesContext(
            connection,
        ) as queries:
            editing.save(drafts, author=None, now=NOON)
        return len(queries)

    many = 60 if connection.vendor == "sqlite" else 400  # SQLite may split inserts of more than 999 values
    make_template()  # the version's row is there
    assert statements(2) == statements(many)
