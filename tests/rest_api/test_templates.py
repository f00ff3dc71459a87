"""Templates as documents: what designers read and write over REST."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from badges.catalog import packs
from badges.catalog.api import archive_template, export_template
from badges.models import BadgeTemplate, TemplateRevision
from tests.factories import NOON, UserFactory, credly_issuer, make_template, requirement, rule, template_entry
from tests.rest_api.schema import assert_as_promised

LIST = "/api/badges/v1/templates/"
DETAIL = "/api/badges/v1/templates/{slug}/"
REVISIONS = "/api/badges/v1/templates/{slug}/revisions/"
REVISION = "/api/badges/v1/templates/{slug}/revisions/{number}/"
pytestmark = [pytest.mark.django_db, pytest.mark.tables]

ALL = ("view_badgetemplate", "add_badgetemplate", "change_badgetemplate", "delete_badgetemplate")


@pytest.fixture
def designer(staff_client: Callable[..., Any]) -> Any:
    return staff_client(*ALL, "view_templaterevision")


def post(client: Any, document: Any, query: str = "") -> Any:
    return client.post(f"{LIST}{query}", json.dumps(document), content_type="application/json")


def put(client: Any, slug: str, document: Any, query: str = "", match: str | None = "*") -> Any:
    headers = {} if match is None else {"If-Match": match}
    address = f"{LIST}{quote(slug)}/{query}"
    return client.put(address, document, content_type="application/json", headers=headers)


def slugs(answer: Any) -> list[str]:
    return [row["slug"] for row in assert_as_promised(answer, LIST)["results"]]


def fields(answer: Any) -> list[str]:
    return [error["field"] for error in answer.json()["errors"]]


# --- reading ---------------------------------------------------------------------------------------------------------


def test_templates_are_listed_by_slug_and_archived_ones_only_if_they_are_asked_for(designer: Any) -> None:
    for slug in ("houba", "bdoing"):
        make_template(slug=slug)
    archive_template(make_template(slug="gone"), author=None, now=NOON)
    assert slugs(designer.get(LIST)) == slugs(designer.get(f"{LIST}?archived=false")) == ["bdoing", "houba"]
    assert slugs(designer.get(f"{LIST}?archived=true")) == ["gone"]
    assert slugs(designer.get(f"{LIST}?archived=all")) == ["bdoing", "gone", "houba"]


def test_each_filter_of_templates_leaves_what_it_asks_for(designer: Any) -> None:
    make_template(slug="algebra-star", name="Étoile d'algèbre", issuers=[credly_issuer()])
    make_template(slug="draft", name="Not yet", is_active=False, requirements=[])
    event_type = "org.openedx.learning.course.passing.status.updated.v1"
    assert slugs(designer.get(LIST, {"search": "STAR"})) == slugs(designer.get(LIST, {"search": "toile"}))
    assert slugs(designer.get(LIST, {"search": "not y"})) == ["draft"]
    assert slugs(designer.get(LIST, {"is_active": "false"})) == ["draft"]
    assert slugs(designer.get(LIST, {"event_type": event_type})) == ["algebra-star"]
    assert slugs(designer.get(LIST, {"event_type": "org.openedx.unheard.v1"})) == []
    assert slugs(designer.get(LIST, {"provider": "credly"})) == ["algebra-star"]
    assert slugs(designer.get(LIST, {"provider": "credly", "is_active": "false"})) == []


def test_pages_of_templates_lead_to_each_other(designer: Any) -> None:
    for number in range(5):
        make_template(slug=f"houba-{number}")
    first = designer.get(f"{LIST}?page_size=2").json()
    second = designer.get(first["next"]).json()
    third = designer.get(second["next"]).json()
    assert [[row["slug"] for row in page["results"]] for page in (first, second, third)] == [
        ["houba-0", "houba-1"],
        ["houba-2", "houba-3"],
        ["houba-4"],
    ]
    assert third["next"] is None
    assert designer.get(third["previous"]).json()["results"] == second["results"]


def test_listing_costs_the_same_for_any_number_of_templates(designer: Any) -> None:
    make_template()
    with CaptureQueriesContext(
        connection,
    ) as one:
        designer.get(LIST)
    for _ in range(5):
        make_template()
    with CaptureQueriesContext(connection) as six:
        assert len(slugs(designer.get(LIST))) == 6
    assert len(one) == len(six)


@pytest.mark.parametrize("query", ["archived=maybe", "is_active=2", "search=%00", "page_size=0", "cursor=WzAsIlwwIl0="])
def test_a_filter_that_cannot_be_meant_is_refused_by_name(designer: Any, query: str) -> None:
    answer = designer.get(f"{LIST}?{query}")
    assert (answer.status_code, fields(answer)) == (400, [query.partition("=")[0]])


def test_a_template_is_shown_as_the_document_that_a_pack_has(designer: Any) -> None:
    template = make_template(slug="حوبا-好", name="حوبا 好吧", issuers=[credly_issuer()])
    answer = designer.get(f"{LIST}{quote(template.slug)}/")
    body = assert_as_promised(answer, DETAIL)
    assert body["document"] == export_template(template) == packs.export()["templates"][0]
    assert (body["revision"], body["problems"], body["archived_at"]) == (1, [], None)
    assert (body["uuid"], body["name"], body["is_active"]) == (str(template.uuid), "حوبا 好吧", True)
    assert answer.headers["ETag"] == f'"{template.current_revision.uuid}"'


def test_a_template_says_from_when_on_events_count_for_its_criteria(designer: Any) -> None:
    def shown() -> Any:
        return assert_as_promised(designer.get(f"{LIST}houba/"), DETAIL)["counts_from"]

    make_template(slug="houba")
    assert shown() is None
    make_template(slug="houba", criteria={"event": requirement()["event_type"]}, now=NOON)
    assert shown() == "2026-03-14T12:00:00Z"


def test_a_template_that_settings_have_made_invalid_says_why(designer: Any, settings: Any) -> None:
    make_template(slug="houba")
    settings.LMS_BADGES_CONFIG = {"events": ["org.openedx.learning.course.enrollment.created.v1"]}
    (problem,) = assert_as_promised(designer.get(f"{LIST}houba/"), DETAIL)["problems"]
    assert problem["path"] == "requirements[0].event_type"
    assert "LMS_BADGES_CONFIG['events']" in problem["message"]


@pytest.mark.parametrize("slug", ["x", "%00", "9" * 300, "%ff", "{}", "Houba", "houba "])
def test_no_such_template_is_a_404(designer: Any, slug: str) -> None:
    make_template(slug="houba")
    for address in (f"{LIST}{slug}/", f"{LIST}{slug}/revisions/", f"{LIST}{slug}/revisions/1/"):
        assert designer.get(address).status_code == 404
    assert put(designer, slug, template_entry(slug=slug)).status_code == 404
    assert designer.delete(f"{LIST}{slug}/").status_code == 404


# --- permissions -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("granted", [*ALL, "view_templaterevision", "view_badgeprogress"])
def test_each_permission_opens_what_it_opens_in_the_admin(staff_client: Callable[..., Any], granted: str) -> None:
    make_template(slug="houba")
    client = staff_client(granted)
    may_view = granted in ("view_badgetemplate", "change_badgetemplate")
    assert client.get(LIST).status_code == (200 if may_view else 403)
    assert client.get(f"{LIST}houba/").status_code == (200 if may_view else 403)
    may_see_revisions = granted == "view_templaterevision"
    assert client.get(f"{LIST}houba/revisions/").status_code == (200 if may_see_revisions else 403)
    assert client.get(f"{LIST}houba/revisions/1/").status_code == (200 if may_see_revisions else 403)
    assert post(client, template_entry()).status_code == (201 if granted == "add_badgetemplate" else 403)
    document = template_entry(slug="houba")
    assert put(client, "houba", document).status_code == (200 if granted == "change_badgetemplate" else 403)
    assert client.delete(f"{LIST}houba/").status_code == (204 if granted == "delete_badgetemplate" else 403)


def test_learners_see_no_templates(learner_client: Any) -> None:
    assert assert_as_promised(learner_client.get(LIST), LIST)["status"] == 403


# --- creating --------------------------------------------------------------------------------------------------------


def test_a_document_that_is_posted_becomes_a_template_with_a_revision_of_its_author(
    staff_client: Callable[..., Any],
) -> None:
    client = staff_client("add_badgetemplate", "change_badgetemplate")
    answer = post(client, template_entry(slug="marsu", name="Marsu"))
    body = assert_as_promised(answer, LIST, "post")
    template = BadgeTemplate.objects.get(slug="marsu")
    assert (answer.status_code, body["outcome"], body["dry_run"], body["revision"]) == (201, "created", False, 1)
    assert body["document"] == export_template(template)
    assert answer.headers["Location"].endswith("/api/badges/v1/templates/marsu/")
    assert answer.headers["ETag"] == client.get(answer.headers["Location"]).headers["ETag"]
    assert template.current_revision.author_id == int(client.session["_auth_user_id"])


def test_a_wrong_document_is_answered_with_every_problem_at_its_path_and_nothing_is_written(designer: Any) -> None:
    document = template_entry(
        requirements=[requirement(rules=[rule("is_passing", "eq", "perhaps"), rule("is_pasing", "eq", True)])],
        issuers=[{**credly_issuer(), "provider": "credley"}],
    )
    answer = post(designer, document)
    body = assert_as_promised(answer, LIST, "post")
    assert answer.status_code == 400
    assert fields(answer) == ["issuers[0].provider", "requirements[0].rules[0].value", "requirements[0].rules[1].path"]
    assert "write credly" in body["errors"][0]["detail"]
    assert not BadgeTemplate.objects.exists()


@pytest.mark.parametrize(
    ("document", "path"),
    [
        ({}, "slug"),
        ([], ""),
        (None, ""),
        ("houba", ""),
        ([template_entry()], ""),
        ({"pack": 1, "templates": []}, "templates"),
        ({**template_entry(), "colour": "red"}, "colour"),
        ({**template_entry(), "slug": ""}, "slug"),
        ({**template_entry(), "slug": "a/b"}, "slug"),
        ({**template_entry(), "name": "a\0"}, "name"),
        ({**template_entry(), "requirements": [{}]}, "requirements[0].key"),
        ({**template_entry(), "requirements": [{"key": "a", "event_type": "x"}]}, "requirements[0].event_type"),
        ({**template_entry(), "requirements": [requirement(rules=[rule("is_passing", "eq", 10**400)])]}, None),
        ({**template_entry(), "image_url": "javascript:alert(1)"}, "image_url"),
        ({**template_entry(), "uuid": 7}, "uuid"),
        ({f"k{number}": 0 for number in range(300)}, "k0"),
    ],
)
def test_what_is_no_document_of_a_template_is_refused(designer: Any, document: Any, path: str | None) -> None:
    answer = post(designer, document)
    assert answer.status_code == 400
    assert path is None or path in fields(answer)
    assert len(fields(answer)) <= 101
    assert not BadgeTemplate.objects.exists()


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b'{"slug": "a", "slug": "b"}', 400),
        (b'{"slug": NaN}', 400),
        (b'{"slug": 1e400}', 400),
        (b"[" * 100_000, 400),
        (b'{"slug": "' + b"9" * 10_000_000 + b'"}', 413),
        (b"\xff", 400),
        (b'{"slug": ' + b"9" * 5000 + b"}", 400),
        (b"", 400),
        (b"slug: houba", 400),
    ],
    ids=["twice", "NaN", "1e400", "deep", "10 MB", "bytes", "digits", "empty", "YAML"],
)
def test_a_body_that_is_no_strict_json_is_refused(designer: Any, body: bytes, status: int) -> None:
    answer = designer.post(LIST, body, content_type="application/json")
    assert assert_as_promised(answer, LIST, "post")["status"] == status


def test_a_slug_that_is_taken_is_a_conflict_and_the_template_stays_as_it_is(designer: Any) -> None:
    template = make_template(slug="houba", name="Before")
    answer = post(designer, template_entry(slug="houba", name="After"))
    assert assert_as_promised(answer, LIST, "post")["status"] == 409
    assert "PUT changes it" in answer.json()["detail"]
    archive_template(template, author=None, now=NOON)
    assert "archive" in post(designer, template_entry(slug="houba")).json()["detail"]
    template.refresh_from_db()
    assert (template.name, template.archived_at) == ("Before", NOON)


def test_a_uuid_of_another_template_is_a_problem_of_the_document(designer: Any) -> None:
    taken = make_template(slug="houba")
    answer = post(designer, template_entry(slug="marsu", uuid=str(taken.uuid)))
    assert (answer.status_code, fields(answer)) == (400, ["uuid"])


def test_a_dry_run_of_a_new_template_writes_nothing(designer: Any) -> None:
    answer = post(designer, template_entry(slug="marsu"), "?dry_run=true")
    body = assert_as_promised(answer, LIST, "post")
    assert (answer.status_code, body["outcome"], body["dry_run"], body["revision"]) == (200, "created", True, None)
    assert (body["document"]["slug"], body["document"]["uuid"]) == ("marsu", None)
    assert "ETag" not in answer.headers
    assert not BadgeTemplate.objects.exists()
    assert post(designer, template_entry(slug="marsu"), "?dry_run=false").status_code == 201
    assert post(designer, template_entry(slug="marsu"), "?dry_run=true").status_code == 409


@pytest.mark.parametrize("query", ["?dry_run=yes", "?dry_run=", "?dryrun=true"])
def test_a_dry_run_that_is_misspelt_writes_nothing(designer: Any, query: str) -> None:
    make_template(slug="houba")
    for answer in (post(designer, template_entry(), query), put(designer, "houba", template_entry(), query)):
        assert (answer.status_code, fields(answer)) == (400, [query[1:].partition("=")[0]])
    assert BadgeTemplate.objects.count() == 1


# --- replacing -------------------------------------------------------------------------------------------------------


def test_a_document_that_was_read_can_be_changed_and_put_back(designer: Any) -> None:
    make_template(slug="houba", name="Before")
    read = designer.get(f"{LIST}houba/")
    document = read.json()["document"]
    document["name"] = "After"
    document["requirements"][0]["rules"] = []
    answer = put(designer, "houba", document, match=read.headers["ETag"])
    body = assert_as_promised(answer, DETAIL, "put")
    assert (answer.status_code, body["outcome"], body["revision"]) == (200, "updated", 2)
    assert body["changes"][0] == {"path": "name", "before": '"Before"', "after": '"After"'}
    assert body["changes"][1]["path"] == "requirements[pass].rules"
    assert export_template(BadgeTemplate.objects.get(slug="houba")) == body["document"] == document
    assert designer.get(f"{LIST}houba/").headers["ETag"] == answer.headers["ETag"] != read.headers["ETag"]


def test_putting_what_is_there_changes_nothing(designer: Any) -> None:
    template = make_template(slug="houba")
    answer = put(designer, "houba", export_template(template))
    assert (answer.json()["outcome"], answer.json()["changes"], answer.json()["revision"]) == ("unchanged", [], 1)
    assert TemplateRevision.objects.count() == 1


def test_a_change_of_a_version_that_is_gone_is_refused(designer: Any) -> None:
    template = make_template(slug="houba", name="First")
    old = designer.get(f"{LIST}houba/").headers["ETag"]
    make_template(slug="houba", name="Second")
    answer = put(designer, "houba", template_entry(slug="houba", name="Third"), match=old)
    assert assert_as_promised(answer, DETAIL, "put")["status"] == 412
    template.refresh_from_db()
    assert template.name == "Second"
    assert put(designer, "houba", template_entry(slug="houba"), "?dry_run=true", match=old).status_code == 412
    assert designer.delete(f"{LIST}houba/", headers={"If-Match": old}).status_code == 412


def test_archiving_meanwhile_is_a_change_even_of_an_inactive_template(designer: Any) -> None:
    template = make_template(slug="houba", is_active=False)
    old = designer.get(f"{LIST}houba/").headers["ETag"]
    archive_template(template, author=None, now=NOON)
    assert put(designer, "houba", template_entry(slug="houba"), match=old).status_code == 412


def test_a_change_without_a_version_is_refused(designer: Any) -> None:
    make_template(slug="houba", name="Before")
    answer = put(designer, "houba", template_entry(slug="houba"), match=None)
    assert assert_as_promised(answer, DETAIL, "put")["status"] == 428
    assert "If-Match" in answer.json()["detail"]
    assert BadgeTemplate.objects.get().name == "Before"


@pytest.mark.parametrize(
    ("match", "status"), [("7", 400), ("", 400), ('W/"{}"', 412), ('"other"', 412), ('"other", "{}"', 200), ("*", 200)]
)
def test_versions_are_compared_as_http_says(designer: Any, match: str, status: int) -> None:
    template = make_template(slug="houba")
    match = match.format(template.current_revision.uuid)
    assert put(designer, "houba", template_entry(slug="houba"), match=match).status_code == status


def test_a_document_of_another_slug_is_refused_and_both_templates_stay(designer: Any) -> None:
    make_template(slug="houba", name="Houba")
    make_template(slug="marsu", name="Marsu")
    answer = put(designer, "houba", template_entry(slug="marsu", name="Changed"))
    assert (answer.status_code, fields(answer)) == (400, ["slug"])
    assert "Changed" not in BadgeTemplate.objects.values_list("name", flat=True)
    assert put(designer, "houba", template_entry(slug="new")).status_code == 400


def test_a_wrong_document_leaves_the_template_as_it_is(designer: Any) -> None:
    template = make_template(slug="houba", name="Before")
    answer = put(designer, "houba", {**template_entry(slug="houba"), "requirements": [requirement("a"), {"key": 5}]})
    assert assert_as_promised(answer, DETAIL, "put")["status"] == 400
    assert fields(answer) == ["requirements[1].event_type", "requirements[1].key"]
    assert (template.revisions.count(), BadgeTemplate.objects.get().name) == (1, "Before")


def test_a_dry_run_answers_the_changes_and_writes_nothing(designer: Any) -> None:
    make_template(slug="houba", name="Before")
    version = designer.get(f"{LIST}houba/").headers["ETag"]
    answer = put(designer, "houba", template_entry(slug="houba", name="After"), "?dry_run=true", match=version)
    body = assert_as_promised(answer, DETAIL, "put")
    assert (body["outcome"], body["dry_run"], body["revision"]) == ("updated", True, 1)
    assert body["changes"] == [{"path": "name", "before": '"Before"', "after": '"After"'}]
    assert designer.get(f"{LIST}houba/").headers["ETag"] == answer.headers["ETag"] == version


# --- the archive -----------------------------------------------------------------------------------------------------


def test_deleting_archives_and_putting_brings_back(designer: Any) -> None:
    make_template(slug="houba")
    assert designer.delete(f"{LIST}houba/").status_code == 204
    shown = assert_as_promised(designer.get(f"{LIST}houba/"), DETAIL)
    assert shown["archived_at"]
    assert (shown["is_active"], shown["revision"]) == (False, 2)
    assert slugs(designer.get(LIST)) == []
    answer = put(designer, "houba", shown["document"])
    assert answer.json()["changes"] == [{"path": "archived", "before": "true", "after": "false"}]
    assert slugs(designer.get(LIST)) == ["houba"]


def test_deleting_twice_archives_once(designer: Any) -> None:
    template = make_template(slug="houba")
    archive_template(template, author=None, now=NOON)
    assert designer.delete(f"{LIST}houba/").status_code == 204
    template.refresh_from_db()
    assert (template.archived_at, template.revisions.count()) == (NOON, 2)


def test_deleting_takes_no_parameters_that_would_be_ignored(designer: Any) -> None:
    make_template(slug="houba")
    assert designer.delete(f"{LIST}houba/?dry_run=true").status_code == 400
    assert BadgeTemplate.objects.get().archived_at is None


# --- revisions -------------------------------------------------------------------------------------------------------


def test_revisions_say_who_changed_what(designer: Any) -> None:
    author = UserFactory()
    make_template(slug="houba", name="One")
    make_template(slug="houba", name="Two", author=author)
    make_template(slug="marsu")
    listed = assert_as_promised(designer.get(f"{LIST}houba/revisions/"), REVISIONS)["results"]
    assert [(row["number"], row["author"]) for row in listed] == [(2, author.username), (1, None)]
    shown = assert_as_promised(designer.get(f"{LIST}houba/revisions/2/"), REVISION)
    assert shown["changes"] == [{"path": "name", "before": '"One"', "after": '"Two"'}]
    assert shown["document"] == designer.get(f"{LIST}houba/").json()["document"]
    first = designer.get(f"{LIST}houba/revisions/1/").json()
    assert (first["changes"], first["document"]["name"]) == ([], "One")


def test_an_old_revision_can_be_put_back(designer: Any) -> None:
    make_template(slug="houba", name="One")
    make_template(slug="houba", name="Two")
    old = designer.get(f"{LIST}houba/revisions/1/").json()["document"]
    assert put(designer, "houba", old).json()["document"]["name"] == "One"


def test_pages_of_revisions_lead_to_each_other(designer: Any) -> None:
    for number in range(4):
        make_template(slug="houba", name=f"Name {number}")
    first = designer.get(f"{LIST}houba/revisions/?page_size=3").json()
    second = designer.get(first["next"]).json()
    assert [[row["number"] for row in page["results"]] for page in (first, second)] == [[4, 3, 2], [1]]
    assert designer.get(second["previous"]).json()["results"] == first["results"]


@pytest.mark.parametrize("position", ['"1"', "1e9", "-1", "true", "9" * 20, "null", "1, 2"])
def test_a_cursor_that_is_none_of_revisions_is_refused(designer: Any, position: str) -> None:
    make_template(slug="houba")
    cursor = base64.urlsafe_b64encode(f"[0, {position}]".encode()).decode()
    answer = designer.get(f"{LIST}houba/revisions/", {"cursor": cursor})
    assert (answer.status_code, fields(answer)) == (400, ["cursor"])


@pytest.mark.parametrize("number", ["0", "2", "9" * 30, "x", "-1"])
def test_no_such_revision_is_a_404(designer: Any, number: str) -> None:
    make_template(slug="houba")
    assert designer.get(f"{LIST}houba/revisions/{number}/").status_code == 404
