"""
A stand-in for the LMS: a real HTTP server that answers as the Open edX platform and two of its plugins do.

Use ``with LmsStandIn() as lms:`` in this process. ``python -m credentials_config.testing.lms`` is a process of its own;
``LmsProcess`` starts and kills it, ``RemoteLms`` uses one that is running. Configure the client with ``lms.url``,
``lms.client_id`` and ``lms.client_secret``; ``lms.settings`` has them in the form of ``CREDENTIALS_CONFIG["lms"]``.

*Actions of people*: ``add_course``, ``change_course``, ``add_subsection``, ``add_path``, ``add_learner``,
``change_learner``, ``enroll``, ``unenroll``, ``score``, ``complete``. ``enroll_many`` fills a course, ``load`` reads a
whole document. ``garble_grades`` and ``garble_completion`` make the data of one learner invalid.

*Failures*: ``refuse``, ``throttle``, ``break_down``, ``drop``, ``slow_down``, ``answer``, ``link_elsewhere``,
``expire_tokens``. Each is for one kind of endpoint (``on="gradebook"``) or for all, for a number of ``times`` or until
``recover()``.

*The record of calls*: ``calls``, ``counts``, ``asked`` (about whom, by kind of endpoint). ``clear_calls`` clears it.
"""

from credentials_config.testing.lms.data import Call, Course, Learner, Path, Subsection
from credentials_config.testing.lms.failures import ENDPOINTS
from credentials_config.testing.lms.remote import LmsProcess, RemoteLms
from credentials_config.testing.lms.standin import LmsStandIn

__all__ = ["ENDPOINTS", "Call", "Course", "Learner", "LmsProcess", "LmsStandIn", "Path", "RemoteLms", "Subsection"]
