"""Addresses of version 1. They have no slash at the end."""

from django.urls import path

from badges.rest_api.activities_v1 import views

urlpatterns = [
    path("quiz/result", views.QuizResultView.as_view(), name="quiz-result"),
    path("flashcards/session-complete", views.FlashcardsView.as_view(), name="flashcards-session-complete"),
]
