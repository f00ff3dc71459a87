"""``manage.py demo``: the main job, from events to issued badges, on one machine with nothing but Python."""

from __future__ import annotations

import json
import socket
import sys
import threading
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db.models import Count, Q
from django.urls import reverse
from django.utils import timezone
from rich.console import Console
from rich.table import Table

from badges.awarding.sharing import set_public
from badges.models import BadgeTemplate, InboxMessage, Learner, OutboxMessage
from badges.testing.credly import CredlyProcess
from credentials_config.models import Credential
from credentials_config.testing.lms import LmsProcess
from service.demo import awards, certificates, learning_events, redis_bus, webhooks
from service.demo.redis_bus import RedisServer

LOGIN = ("demo", "demo-only-on-this-machine")


class Command(BaseCommand):
    """Do the main job once, then serve the admin and the API."""

    help = (
        "Migrate, apply a pack of templates, start a stand-in for Credly, consume a file of events, deliver, print "
        "what was awarded and issued, and serve admin and API. Without a terminal it ends after the table."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--port", type=int, default=8000, help="where admin and API are served; another port if it is in use"
        )
        parser.add_argument(
            "--learners",
            type=int,
            default=learning_events.LEARNERS,
            help="how many people take the courses",
        )
        parser.add_argument(
            "--bus", choices=["file", "redis"], default="file", help="how the events come: redis starts a Redis for it"
        )
        parser.add_argument("--serve", action="store_true", help="serve even without a terminal")

    def handle(self, *args: Any, port: int, learners: int, bus: str, serve: bool, **options: Any) -> None:
        self.console = Console(soft_wrap=True)
        port = _free_port(port)
        folder = Path(settings.DATA_DIR)
        folder.mkdir(parents=True, exist_ok=True)
        with ExitStack() as stack:
            redis = stack.enter_context(RedisServer()) if bus == "redis" else None
            self._step("Starting a stand-in for Credly")
            organization = learning_events.ORGANIZATION
            credly = stack.enter_context(CredlyProcess(state=folder / "credly.sqlite3", organization=organization))
            self._configure_credly(credly)
            self._prepare()
            if redis:
                self._consume_redis(redis, learners)
            else:
                self._consume(folder / "events.jsonl", learners)
            self._deliver()
            if redis:
                self.console.print(f"On the stream {redis_bus.LIFECYCLE}: {redis.announced()} announcements")
            self._show(credly)
            self._step("Receiving a webhook: a learner accepts a badge at Credly")
            webhook = webhooks.accept_a_badge(self.console, self.stdout, credly, port=port)
            self._explain_criteria()
            self._give_other_badges(folder)
            with LmsProcess() as lms:
                self._give_certificates(lms, f"http://127.0.0.1:{port}", folder)
                self._share(f"http://127.0.0.1:{port}")
                if serve or sys.stdin.isatty():
                    credly.set_webhook(url=webhook)
                    self._serve(port, credly)

    def _configure_credly(self, credly: CredlyProcess) -> None:
        """Add the templates to the stand-in, and configure the issuer to use it."""
        for template in _issued_templates():
            credly.add_template(id=template["id"], name=template["name"])
        settings.LMS_BADGES_CONFIG = {
            **settings.LMS_BADGES_CONFIG,
            "credly": {
                "CREDLY_API_BASE_URL": credly.url,
                "ORGANIZATIONS": {learning_events.ORGANIZATION: credly.token},
            },
        }

    def _prepare(self) -> None:
        self._step("Migrating the database and applying the pack of demo templates")
        call_command("migrate", verbosity=0)
        call_command("badges_pack", "apply", str(learning_events.PACK), stdout=self.stdout)
        users = get_user_model()._default_manager
        if not users.filter(username=LOGIN[0]).exists():
            users.create_superuser(LOGIN[0], "demo@example.com", LOGIN[1])

    def _consume(self, path: Path, learners: int) -> None:
        number = learning_events.write_events(path, learners)
        self._step(f"Consuming {number} events from {path}")
        call_command("consume_badge_events", bus="file", input=str(path), stdout=self.stdout)

    def _consume_redis(self, redis: RedisServer, learners: int) -> None:
        redis.configure()
        self._step("Putting the events of an LMS on Redis streams")
        number = redis.send(learning_events.events(learners))
        topics = [*redis_bus.TOPICS.values()]
        self._step(f"Consuming {number} events from the streams {' and '.join(topics)}")
        call_command(
            "consume_badge_events",
            bus="redis",
            topic=topics,
            group=redis_bus.GROUP,
            until_idle=True,
            stdout=self.stdout,
        )

    def _deliver(self) -> None:
        waiting = OutboxMessage.objects.filter(state="pending").count()
        self._step(f"Delivering {waiting} announcements and badges to be issued" if waiting else "Nothing to deliver")
        call_command("badges_drain", stdout=self.stdout)

    def _show(self, credly: CredlyProcess) -> None:
        """Print what was awarded according to our tables, and what the stand-in for Credly has."""
        at_provider = Counter(badge.template_id for badge in credly.badges)
        table = Table("Template", "begun", "awarded", "issued at Credly", "at Credly", title="Results")
        held = Count("credentials", filter=Q(credentials__status="awarded"), distinct=True)
        issued = Count("credentials__credly_badge__external_uuid", distinct=True)
        begun = Count("progress", distinct=True)
        for row in BadgeTemplate.objects.annotate(begun=begun, held=held, issued=issued):
            issuer = row.issuers.first()
            at_credly = str(at_provider[issuer.external_template]) if issuer else "–"
            table.add_row(row.name, str(row.begun), str(row.held), str(row.issued) if issuer else "–", at_credly)
        self.console.print(table)
        states = Counter(OutboxMessage.objects.values_list("channel", "state"))
        counts = ", ".join(f"{channel} {state}: {number}" for (channel, state), number in sorted(states.items()))
        self.console.print(f"Outbox: {counts or 'empty'}. Inbox: {InboxMessage.objects.count()} events on record.")

    def _explain_criteria(self) -> None:
        """Print what one learner lacks for a badge with criteria, and how a wrong document is refused."""
        template = "curious-week"
        self._step(f"Explaining why learner {learning_events.NOT_SO_CURIOUS} has no badge {template}")
        call_command(
            "badges_criteria",
            "explain",
            learner=str(learning_events.NOT_SO_CURIOUS),
            template=template,
            stdout=self.stdout,
        )
        self._step(f"Checking a criteria document that is refused, {learning_events.REFUSED_CRITERIA.name}")
        try:
            call_command("badges_criteria", "check", str(learning_events.REFUSED_CRITERIA), stdout=self.stdout)
        except CommandError as error:
            self.console.print(str(error), markup=False, highlight=False)

    def _give_other_badges(self, folder: Path) -> None:
        """Give badges that no learning event causes, and announce them."""
        self._step("Giving a badge by hand, over REST")
        awards.give_by_hand(self.console, staff=LOGIN[0])
        self._step("Giving a badge for a certification of another service")
        awards.give_for_certification(self.stdout, folder)
        self._step("Giving badges for XP: a learner finishes a quiz, and sends it twice")
        awards.give_for_engagement(self.console)
        call_command("badges_drain", stdout=self.stdout)

    def _give_certificates(self, lms: LmsProcess, address: str, folder: Path) -> None:
        """Enable a certificate for a course, run its schedule once, and print where the results are."""
        certificates.open_course(lms)
        certificates.use(lms, address=address, folder=folder)
        configuration = certificates.enable()
        self._step(f"Making certificates for everybody who completed {configuration.context_key}")
        call_command("credentials_run", configuration=[configuration.pk], stdout=self.stdout)
        call_command("badges_drain", stdout=self.stdout)
        made = Credential.objects.filter(configuration=configuration, status="available").order_by("issued_at", "id")
        for credential in made:
            self.console.print(f"  {credential.learner_name:<22} {folder / 'media' / credential.document}")
        if first := made.first():
            page = reverse("lms_credentials_config:verify", args=[first.verification_code])
            self.console.print(f"E-mails are in {folder / 'mail'}. Anybody can verify: {address}{page}")

    def _share(self, address: str) -> None:
        """Give the learner with the most badges a password, share one of the badges, and print where both pages are."""
        held = Count("credentials", filter=Q(credentials__active_key__isnull=False))
        learner = Learner.objects.exclude(user=None).annotate(held=held).order_by("-held", "pk").first()
        if learner is None or learner.user is None:
            return
        learner.user.set_password(LOGIN[1])
        learner.user.save()
        page = reverse("lms_badges:learner-page")
        name = learner.user.get_username()
        self.console.print(f"Learner  {address}{page}   login {name}, password {LOGIN[1]}", highlight=False)
        if credential := learner.credentials.filter(active_key__isnull=False).order_by("pk").first():
            set_public(credential.pk, True, owner=Q(learner=learner))
            page = reverse("lms_badges:credential-page", args=[credential.pk])
            self.console.print(f"Anybody can see a badge that is shared: {address}{page}", highlight=False)

    def _serve(self, port: int, credly: CredlyProcess) -> None:
        address = f"http://127.0.0.1:{port}"
        threading.Thread(target=call_command, args=("badges_drain",), kwargs={"forever": True}, daemon=True).start()
        threading.Thread(target=certificates.keep_making, daemon=True).start()
        self.console.print(f"\nAdmin    {address}/admin/   login {LOGIN[0]}, password {LOGIN[1]}")
        self.console.print(f"Learner  {address}/badges/   the page of whoever is signed in")
        self.console.print(f"API      {address}/api/badges/v1/credentials/   described at {address}/api/docs/")
        self.console.print(f"Credly   {credly.url} (the stand-in)\nCtrl-C ends it.\n")
        call_command("runserver", f"127.0.0.1:{port}", use_reloader=False, skip_checks=True)

    def _step(self, text: str) -> None:
        self.console.print(f"[bold]{timezone.localtime():%H:%M:%S}[/bold] {text}")


def _issued_templates() -> list[dict[str, str]]:
    """Return the templates of the pack that are issued at Credly, with their ids there."""
    templates = json.loads(learning_events.PACK.read_text(encoding="utf-8"))["templates"]
    return [
        {"id": issuer["template"], "name": template["name"]}
        for template in templates
        for issuer in template.get("issuers", ())
    ]


def _free_port(wanted: int) -> int:
    for port in (wanted, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise CommandError("There is no free port on 127.0.0.1; choose one with --port.")
