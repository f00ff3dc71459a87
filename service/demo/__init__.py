"""The data of ``manage.py demo``: learning events, a pack of templates, a course with certificates."""
