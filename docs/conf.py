"""How Sphinx builds the documentation: ``make docs``."""

import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
sys.path.insert(0, str(ROOT / "docs"))

# Pages that quote docstrings import the models, and those need settings.
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "service.settings")
import django

django.setup()

from badges import __version__

project = "Badges and credentials"
author = "The maintainers"
project_copyright = "AGPL-3.0-or-later"
release = version = __version__

extensions = ["sphinx.ext.autodoc", "sphinx.ext.extlinks", "dead_letters"]
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = f"Badges and credentials {version}"
autodoc_typehints_format = "short"
autodoc_member_order = "bysource"
