"""
From "it is due" to a document in the learner's mailbox, in the order it happens.

``runs`` asks for a run and carries it out: the gates, then ``search`` (who is eligible and has none), then one row for
each. ``printing`` claims rows, makes their documents with a renderer of ``renderers`` and puts them into the storage
(``documents``). ``mail`` is the outbox channel that tells the learner. ``lifecycle`` is what people do to credentials
afterwards, ``periodic`` keeps schedules in step. What must happen is a row before it is done, so a worker that is
killed leaves a row whose lease ends.
"""
