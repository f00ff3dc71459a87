"""Loaded renderers: kept for the next batch, shared by threads, closed when no thread uses them any more."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from credentials_config.contracts import Assets, Document, DocumentContext, Options
from credentials_config.issuing import renderers
from credentials_config.models import CredentialAsset
from tests.credentials_config.plugins import registered
from tests.support.text_generator import TextGenerator, TextRenderer

pytestmark = pytest.mark.django_db

WORDS = DocumentContext("Spip", "Algebra", "today", "https://credentials.test/x", "X")


class TrackedGenerator(TextGenerator):
    """A generator that knows which of its renderers are open."""

    slug = "tracked"

    def __init__(self) -> None:
        super().__init__()
        self.open: list[TrackedRenderer] = []

    def create_renderer(self, options: Options, assets: Assets) -> TrackedRenderer:
        self.open.append(TrackedRenderer(options.get("text_generator", {}), assets))
        self.open[-1].tracked = self
        return self.open[-1]


class TrackedRenderer(TextRenderer):
    tracked: TrackedGenerator

    def render(self, context: DocumentContext) -> Document:
        assert self in self.tracked.open, "it was closed"
        return super().render(context)

    def close(self) -> None:
        self.tracked.open.remove(self)  # a second time is an error


@pytest.fixture
def tracked() -> Iterator[TrackedGenerator]:
    with registered(TrackedGenerator()) as plugin:
        yield plugin
        renderers.close_all()


def push_out() -> None:
    """Use as many others as the cache keeps."""
    for number in range(renderers.CACHE_SIZE):
        with renderers.renderer_with("tracked", {"other": number}):
            pass


def test_a_renderer_that_a_thread_is_using_stays_open_when_others_push_it_out(tracked: TrackedGenerator) -> None:
    with renderers.renderer_with("tracked", {}) as renderer, renderers.renderer_with("tracked", {}) as same:
        assert renderer is same
        push_out()
        assert renderer.render(WORDS).content
    assert len(tracked.open) == renderers.CACHE_SIZE
    assert renderer not in tracked.open


def test_a_renderer_that_a_thread_is_using_stays_open_when_its_template_is_replaced(tracked: TrackedGenerator) -> None:
    CredentialAsset.objects.upload("red", b"crimson", name="red.txt")
    options = {"text_generator": {"asset": "red"}}
    with renderers.renderer_with("tracked", options) as old:
        CredentialAsset.objects.upload("red", b"scarlet", name="red.txt")
        with renderers.renderer_with("tracked", options) as new:
            assert (old.render(WORDS).content[-7:], new.render(WORDS).content[-7:]) == (b"crimson", b"scarlet")
    assert tracked.open == [new]


def test_a_renderer_that_nobody_uses_is_closed_when_others_push_it_out(tracked: TrackedGenerator) -> None:
    with renderers.renderer_with("tracked", {}) as renderer:
        pass
    assert renderer in tracked.open, "kept for the next batch"
    push_out()
    assert renderer not in tracked.open


def test_a_renderer_is_given_back_also_after_an_error(tracked: TrackedGenerator) -> None:
    with pytest.raises(ZeroDivisionError), renderers.renderer_with("tracked", {}) as renderer:
        raise ZeroDivisionError
    renderers.close_all()
    assert renderer not in tracked.open


def test_many_threads_with_more_renderers_than_are_kept_neither_use_a_closed_one_nor_leave_one_open(
    tracked: TrackedGenerator,
) -> None:
    errors: list[BaseException] = []

    def work(first: int) -> None:
        try:
            for turn in range(60):
                with renderers.renderer_with(
                    "tracked", {"which": (first + turn) % (renderers.CACHE_SIZE + 4)}
                ) as renderer:
                    renderer.render(WORDS)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(3 * number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert len(tracked.open) == renderers.CACHE_SIZE
    renderers.close_all()
    assert tracked.open == []
