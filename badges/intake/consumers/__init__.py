"""
The consumers: they fetch events from Kafka, from Redis or from a file.

``loop`` is the same for every bus; ``kafka``, ``redis`` and ``file`` are what differs. A consumer reads a batch, passes
it to ``handle`` and acknowledges it afterwards. ``handle(batch)`` returns when everything that it decided is committed.
It raises ``Retryable`` when that is not possible now; then nothing of the batch may be acknowledged. A consumer does
not know what an event causes.
"""
