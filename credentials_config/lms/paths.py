"""
Where the LMS's HTTP API answers what.

These are the addresses of the Open edX platform and of the two plugins that know completions of whole subtrees
(openedx-completion-aggregator) and pathways (openedx-learning-paths). A host whose LMS has them elsewhere says so in
``CREDENTIALS_CONFIG["lms"]["paths"]``, by the same names and with the same placeholders.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from badges.exceptions import Permanent

PATHS = {
    # POST client id and secret; an access token comes back.
    "token": "/oauth2/access_token",
    # ?course_id=&username=a,b: enrolments, cursor pages.
    "enrollments": "/api/enrollment/v1/enrollments",
    # ?username=a,b or ?lms_user_id=: id, name, e-mail.
    "accounts": "/api/user/v1/accounts",
    # The language a learner has chosen for the site, by username.
    "language": "/api/user/v1/preferences/{key}/pref-lang",
    "course": "/api/courses/v1/courses/{key}/",
    # The subtree of a block.
    "blocks": "/api/courses/v1/blocks/{key}/",
    # ?username=: course grade and graded subsections of one learner. The course's gradebook must be enabled.
    "gradebook": "/api/grades/v1/gradebook/{key}/",
    "policy": "/api/grades/v1/policy/courses/{key}/",
    # ?user_ids=1,2&requested_fields=sequential: completions, numbered pages.
    "completions": "/completion-aggregator/v1/course/{key}/",
    "pathway": "/api/learning_paths/v1/learning-paths/{key}/",
    "pathway_enrollments": "/api/learning_paths/v1/{key}/enrollments/",
}


def path(name: str, given: dict[str, Any], *, key: str = "") -> str:
    """Return the path of that name, the host's own if it has one."""
    unknown = sorted(set(given) - set(PATHS))
    if unknown:
        raise Permanent(
            f"CREDENTIALS_CONFIG['lms']['paths'] has no {', '.join(unknown)}. Use only: {', '.join(sorted(PATHS))}."
        )
    # Keys of old courses hold slashes, which the LMS expects as they are.
    return str(given.get(name, PATHS[name])).replace("{key}", quote(key, safe=":@/"))
