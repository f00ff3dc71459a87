"""
The path to the learner in the events of openedx-events, by event type.

The paths are listed, because guessing is wrong for events with several users. An enrolment names the learner and the
member of staff who made it. An exam attempt names the learner and the person who requested it. Types with a single user
need no entry.
"""

_PREFIX = "org.openedx.learning."

_TYPES_BY_PATH = {
    "user": "student.registration.completed auth.session.login.completed",
    "enrollment.user": "course.enrollment.created course.enrollment.changed course.unenrollment.completed",
    "certificate.user": "certificate.created certificate.changed certificate.revoked",
    "program_certificate.user": "program.certificate.awarded program.certificate.revoked",
    "cohort.user": "cohort_membership.changed",
    "exam_attempt.student_user": (
        "exam.attempt.submitted exam.attempt.rejected exam.attempt.verified exam.attempt.errored exam.attempt.reset"
    ),
    "course_access_role_data.user": "user.course_access_role.added user.course_access_role.removed",
    "thread.user": "forum.thread.created forum.thread.response.created forum.thread.response.comment.created",
    "course_passing_status.user": "course.passing.status.updated ccx.course.passing.status.updated",
    "badge.user": "badge.awarded badge.revoked",  # published by this plugin; a host may configure them
    "idv_attempt.user": "idv_attempt.created idv_attempt.pending idv_attempt.approved idv_attempt.denied",
    "launch_data.user": "lti_provider.launch.success",
}

LEARNER_PATHS: dict[str, str] = {
    f"{_PREFIX}{name}.v1": path for path, names in _TYPES_BY_PATH.items() for name in names.split()
}
