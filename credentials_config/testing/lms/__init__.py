"""
A stand-in for the LMS: a real HTTP server that answers as the Open edX platform and two of its plugins do.

In this process, ``with LmsStandIn() as lms:``; as a process of its own, ``python -m credentials_config.testing.lms``
(``LmsProcess`` starts and kills it, ``RemoteLms`` reaches one that runs). Configure the client with ``lms.url``,
``lms.client_id`` and ``lms.client_secret``; ``lms.settings`` has them as ``CREDENTIALS_CONFIG["lms"]`` wants them.

*What people do there*: ``add_course``, ``change_course``, ``add_subsection``, ``add_path``, ``add_learner``,
``change_learner``, ``enroll``, ``unenroll``, ``score``, ``complete``; ``enroll_many`` fills a course, ``load`` takes a
whole document. ``garble_grades`` and ``garble_completion`` make one learner's data odd.

*What goes wrong*: ``refuse``, ``throttle``, ``break_down``, ``drop``, ``slow_down``, ``answer``, ``link_elsewhere``,
``expire_tokens``; all of it for one kind of endpoint (``on="gradebook"``) or for all, a number of ``times`` or until
``recover()``.

*The witness*: ``calls``, ``counts``, ``asked`` (about whom, by kind of endpoint); ``forget_calls`` starts anew.
"""

from credentials_config.testing.lms.failures import ENDPOINTS
from credentials_config.testing.lms.remote import LmsProcess, RemoteLms
from credentials_config.testing.lms.standin import LmsStandIn
from credentials_config.testing.lms.world import Call, Course, Learner, Path, Subsection

__all__ = ["ENDPOINTS", "Call", "Course", "Learner", "LmsProcess", "LmsStandIn", "Path", "RemoteLms", "Subsection"]
