"""The Celery application: one trivial task, in the settings in which short ones are fastest.

After docs.celeryq.dev, userguide/optimizing (a large prefetch for short tasks), userguide/tasks (ignore results that
nobody reads; no rate limits), userguide/workers (no gossip, mingle or events, which bench.py turns off).
"""

import os

import celery
from celery.signals import worker_ready

import tally

RESULTS = os.environ.get("PEER_RESULTS") == "yes"

app = celery.Celery("tasks", broker=os.environ["PEER_URL"], backend=os.environ["PEER_URL"] if RESULTS else None)
app.conf.update(
    task_ignore_result=not RESULTS,
    worker_prefetch_multiplier=1000,
    worker_disable_rate_limits=True,
    worker_send_task_events=False,
    broker_connection_retry_on_startup=True,
)


@worker_ready.connect
def ready(**_):
    """A worker has its connection, and its children."""
    tally.report(tally.READY)


@app.task
def prime(index):
    """What a worker does for a task."""
    answer = tally.is_prime(index % 100)
    tally.report(index)
    return answer
