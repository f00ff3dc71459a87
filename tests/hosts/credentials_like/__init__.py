"""
A host that is built like the credentials service of Open edX, as far as a plugin can meet it there.

Its apps have the labels, models, names and habits of that service, and code of their own: a badges app with models of
the same names as the plugin's, users with ``lms_user_id``, permissions that are looked up by codename alone, settings
that are read at import, its own REST framework defaults, ``AutoField`` and no Celery app. ``WITHOUT_PLUGIN=1`` starts
it as it is after ``pip uninstall``.
"""
