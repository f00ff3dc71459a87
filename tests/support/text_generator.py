"""
A quick generator of plain text, which fails when its options say so.

``text_generator`` in the options: ``asset`` (an asset it needs), ``broken`` (no document can be made), ``fails_on`` (a
name whose document cannot be made), ``crashes_on`` (a name that raises an unforeseen error), ``seconds`` (the time of
one document).
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


class TextGenerator(Generator):
    slug = "text_generator"
    title = "Text generator"

    def __init__(self) -> None:
        self.begun = 0

    def clean_options(self, options: Options) -> list[str]:
        if isinstance(options.get("text_generator", {}), dict):
            return []
        return ["text_generator: it must be an object; write {}"]

    def create_renderer(self, options: Options, assets: Assets) -> TextRenderer:
        self.begun += 1
        return TextRenderer(options.get("text_generator", {}), assets)


class TextRenderer(Renderer):
    def __init__(self, options: Options, assets: Assets):
        if options.get("broken"):
            raise GenerationError("text_generator.broken: it is; repair it", everyone=True)
        self._options = options
        self._asset_text = assets.read(options["asset"]).decode() if "asset" in options else "black"
        versions = {options["asset"]: assets.version(options["asset"])} if "asset" in options else {}
        self.made_from = {"generator": "text_generator 1", "assets": versions}

    def render(self, context: DocumentContext) -> Document:
        if "seconds" in self._options:
            time.sleep(self._options["seconds"])
        if context.name == self._options.get("fails_on"):
            raise GenerationError("The name does not fit; shorten it")
        if context.name == self._options.get("crashes_on"):
            raise ZeroDivisionError(context.name)
        lines = [
            context.name,
            context.context_name,
            context.issue_date,
            context.verify_url,
            context.verify_code,
            context.language,
            self._asset_text,
        ]
        return Document("\n".join(lines).encode(), "text/plain", "txt")
