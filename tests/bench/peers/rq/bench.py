"""python bench.py REDIS_URL TASKS: RQ's time for that many trivial tasks, from the first push until the last is done.

As its documentation has it best: SimpleWorker, which runs jobs in its own process (python-rq.org/docs/workers, and six
times as fast as Worker by its own docs/benchmark.md), as many as there are cores; Queue.enqueue_many in batches
(python-rq.org/docs). No results are kept.
"""

import json
import multiprocessing
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))

import redis
import rq
import tally

PROCESSES = 2
BATCH = 1000


def prime(index):
    """What a worker does for a task."""
    answer = tally.is_prime(index % 100)
    tally.report(index)
    return answer


def work(url):
    """A worker, until it is killed."""
    queue = rq.Queue("primes", connection=redis.Redis.from_url(url))
    worker = rq.SimpleWorker([queue], connection=queue.connection)
    tally.report(tally.READY)
    worker.work(logging_level="WARNING")


def main(url, tasks):
    """Starts workers, feeds them, and tells how long they took."""
    counter = tally.Tally(PROCESSES, tasks)
    workers = [multiprocessing.Process(target=work, args=(url,), daemon=True) for _ in range(PROCESSES)]
    for worker in workers:
        worker.start()
    queue = rq.Queue("primes", connection=redis.Redis.from_url(url))

    def push():
        for begin in range(0, tasks, BATCH):
            queue.enqueue_many(
                rq.Queue.prepare_data("bench.prime", (index,), timeout=-1, result_ttl=0, description="")
                for index in range(begin, min(begin + BATCH, tasks))
            )

    seconds = counter.measure(push)
    for worker in workers:
        worker.kill()
    print(json.dumps({"seconds": seconds, "tasks": tasks}))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
