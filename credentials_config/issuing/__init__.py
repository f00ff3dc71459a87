"""
From a schedule to the mail that tells a learner of a document. The modules, in the order in which it happens:

1. ``periodic``: a configuration has a periodic task of django-celery-beat, which asks for a run.
2. ``run_queue``: the run is a row. A worker claims it.
3. ``runs``: the worker carries the run out. It looks at the dates, asks ``search`` who is eligible and has no
   credential, and lets ``new_credentials`` write one row for each of them.
4. ``document_queue``: a worker claims rows whose document is due.
5. ``generation``: the worker makes the documents. A renderer (``renderers``) draws what ``document_context`` says, and
   ``documents`` stores the file.
6. ``mail``: the outbox delivers the mail, over ``smtp`` where the host uses that.

``lifecycle`` is what people and time do to credentials afterwards. ``maintenance`` runs once a day.

Everything that must happen is a row before it is done. A worker that is killed leaves a row whose lease ends, and
another worker claims it.
"""
