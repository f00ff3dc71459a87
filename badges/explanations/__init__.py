"""
Why a learner did or did not get a badge.

``reading`` reads what is stored and evaluates the rules again. ``answers`` makes the facts of an answer of it, which
are the same for everybody who may ask, and ``sentences`` says them in the reader's language. Nothing here decides or
writes anything.
"""

from badges.explanations.answers import Answer, answer_of, is_shown_to_learners, may_explain_everybody
from badges.explanations.reading import (
    Explanation,
    documents_void_until,
    explain,
    is_logged,
    last_resets,
    missing_criteria,
    missing_of_documents,
)
from badges.explanations.sentences import sentences

__all__ = [
    "Answer",
    "Explanation",
    "answer_of",
    "documents_void_until",
    "explain",
    "is_logged",
    "is_shown_to_learners",
    "last_resets",
    "may_explain_everybody",
    "missing_criteria",
    "missing_of_documents",
    "sentences",
]
