"""python bench.py REDIS_URL TASKS [results]: Celery's time for that many trivial tasks, from the first push until the
last is done; with `results`, each task's result is stored.

Two workers that run tasks in their own process (docs.celeryq.dev, userguide/concurrency): here that is faster than prefork,
which is the default, and than gevent and threads. See tasks.py for the other settings.
"""

import json
import os
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.dirname(HERE)]

PROCESSES = 2


def main(url, tasks, results):
    """Starts workers, feeds them, and tells how long they took."""
    os.environ.update(PEER_URL=url, PEER_RESULTS="yes" if results else "no")
    os.environ["PYTHONPATH"] = os.pathsep.join(sys.path[:2])
    import tally

    counter = tally.Tally(PROCESSES, tasks)
    options = ["--without-gossip", "--without-mingle", "--without-heartbeat", "--loglevel", "WARNING", "--pool", "solo"]
    command = [sys.executable, "-m", "celery", "--app", "tasks", "--quiet", "worker", *options]
    workers = [
        subprocess.Popen([*command, "--hostname", f"{number}@localhost"], stdout=sys.stderr)
        for number in range(PROCESSES)
    ]
    from tasks import app, prime

    def push():
        with app.producer_pool.acquire(block=True) as producer:
            for index in range(tasks):
                prime.apply_async((index,), producer=producer)

    try:
        seconds = counter.measure(push)
    finally:
        for worker in workers:
            worker.kill()
    print(json.dumps({"seconds": seconds, "tasks": tasks}))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), "results" in sys.argv[3:])
