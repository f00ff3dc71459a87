"""
A generator that types: a real plug-in of the contract, quick, whose paper jams when its options say so.

``typewriter`` in the options: ``ribbon`` (an asset it needs), ``broken`` (no document can be made), ``jams_on`` (a
name that it cannot type), ``crashes_on`` (a name that raises what nobody foresaw), ``seconds`` (how long one takes).
"""

from __future__ import annotations

import time

from credentials_config.contracts import (
    Assets,
    Document,
    DocumentContext,
    GenerationError,
    Generator,
    Options,
    Renderer,
)


class Typewriter(Generator):
    slug = "typewriter"
    title = "Typewriter"

    def __init__(self) -> None:
        self.begun = 0

    def clean_options(self, options: Options) -> list[str]:
        if isinstance(options.get("typewriter", {}), dict):
            return []
        return ["typewriter: it must be an object; write {}"]

    def create_renderer(self, options: Options, assets: Assets) -> TypewriterRenderer:
        self.begun += 1
        return TypewriterRenderer(options.get("typewriter", {}), assets)


class TypewriterRenderer(Renderer):
    def __init__(self, options: Options, assets: Assets):
        if options.get("broken"):
            raise GenerationError("typewriter.broken: it is; mend it", everyone=True)
        self._options = options
        self._ribbon = assets.read(options["ribbon"]).decode() if "ribbon" in options else "black"
        versions = {options["ribbon"]: assets.version(options["ribbon"])} if "ribbon" in options else {}
        self.made_from = {"generator": "typewriter 1", "assets": versions}

    def render(self, words: DocumentContext) -> Document:
        if "seconds" in self._options:
            time.sleep(self._options["seconds"])
        if words.name == self._options.get("jams_on"):
            raise GenerationError("The paper jammed; straighten it")
        if words.name == self._options.get("crashes_on"):
            raise ZeroDivisionError(words.name)
        lines = [
            words.name,
            words.context_name,
            words.issue_date,
            words.verify_url,
            words.verify_code,
            words.language,
            self._ribbon,
        ]
        return Document("\n".join(lines).encode(), "text/plain", "txt")
