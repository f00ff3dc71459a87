"""
The doors that fetch events: Kafka and files. Each one reads, hands batches to ``handle`` and acknowledges afterwards.

They know nothing of what becomes of an event: ``handle(batch)`` returns when everything it decided is committed, or
raises ``Retryable``, and then nothing of the batch may be acknowledged.
"""
