"""What axe-core finds in a page: https://github.com/dequelabs/axe-core."""

from __future__ import annotations

from typing import Any

from tests.services.maven import fetched

RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]

RUN = """
const done = arguments[arguments.length - 1];
const places = (rule) => rule.nodes.map((node) => node.target.join(" ")).join(", ");
axe.run(document, {runOnly: arguments[0], resultTypes: ["violations"]}).then(
  (found) => done(found.violations.map((rule) => `${rule.impact} ${rule.id}: ${places(rule)}`)),
  (error) => done([String(error)]),
);
"""


def barriers(browser: Any) -> list[str]:
    """Return what axe-core finds wrong with the page that is open: how bad, which rule, and where."""
    browser.execute_script((fetched("axe") / "axe.min.js").read_text())
    return browser.execute_async_script(RUN, RULES)
