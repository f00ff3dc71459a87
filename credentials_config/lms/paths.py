"""
The paths of the LMS's HTTP API.

They are those of the Open edX platform and of two plugins: openedx-completion-aggregator, which knows completions of
whole subtrees, and openedx-learning-paths, which knows pathways. A host whose LMS has other paths sets them in
``CREDENTIALS_CONFIG["lms"]["paths"]``, with the same names and placeholders.
"""

from __future__ import annotations

from urllib.parse import quote

from badges.exceptions import Permanent

PATHS = {
    # POST client id and secret: an access token.
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


def path(name: str, given: dict[str, str], *, key: str = "") -> str:
    """
    Return the path of that name, with the key in it.

    ``given`` are the host's paths, which win. Raises Permanent when they have an unknown name.
    """
    unknown = sorted(set(given) - set(PATHS))
    if unknown:
        raise Permanent(
            f"CREDENTIALS_CONFIG['lms']['paths'] has no {', '.join(unknown)}. Use only: {', '.join(sorted(PATHS))}."
        )
    # Keys of old courses hold slashes, which the LMS expects as they are.
    return str(given.get(name, PATHS[name])).replace("{key}", quote(key, safe=":@/"))
