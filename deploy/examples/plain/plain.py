#!/usr/bin/python3
"""Submits a job with nothing but Python's redis and kazoo: each line of standard input is a task.

    seq 1 1000 | QUEUE=primes python3 plain.py

prints the id of the job. Its results will be in <directory of the watchers' sink>/primes/<id>.jsonl.
Debian's packages are python3-redis and python3-kazoo.
"""

import os
import sys
import uuid

import redis
from kazoo.client import KazooClient

jobs = os.environ.get("JOBS", "/distjob/jobs")  # <root>/jobs; a daemon that ran once has created it
queue = os.environ.get("QUEUE", "default")
job_id = os.environ.get("ID", uuid.uuid4().hex)  # take a fresh one for each attempt: A-Z a-z 0-9 _ -, at most 64
tasks = [line.removesuffix(b"\n") for line in sys.stdin.buffer]  # bytes, whatever they are

# The tasks first, all of them, to a list whose name is the id of the job ...
store = redis.Redis.from_url(os.environ.get("REDIS_URL", "redis://127.0.0.1:6379/0"))
for start in range(0, len(tasks), 1000):
    store.rpush(job_id, *tasks[start : start + 1000])

# ... then the znode, with their number. From here on the job is seen.
ledger = KazooClient(hosts=os.environ.get("ZOOKEEPER", "127.0.0.1:2181"))
ledger.start()
ledger.create(f"{jobs}/{job_id}", f"subm={len(tasks)};queue={queue}".encode())
ledger.stop()

print(job_id)
