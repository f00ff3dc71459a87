"""Addresses of version 1. Each is answered with and without a slash at the end; the documented one has none."""

from badges.rest_api.activities_v1 import views
from badges.rest_api.addresses import with_and_without_slash

urlpatterns = [
    *with_and_without_slash("quiz/result", views.QuizResultView, "quiz-result"),
    *with_and_without_slash("flashcards/session-complete", views.FlashcardsView, "flashcards-session-complete"),
]
