#!/usr/bin/python3
"""Submits jobs and waits for them, with nothing but Python's redis and kazoo (python3-redis, python3-kazoo).

    with Client("127.0.0.1:2181", "redis://127.0.0.1:6379/0") as client:
        job = client.submit([b"17", b"18"], queue="primes")
        ending = client.wait(job.id)  # Ending(conclusion="succeeded", tasks=2, failed=0)

It promises what `submitter once` does: when submit() returns, every task is in the store under the job's own keys, and
submitting again under the same id makes no second job, as long as the watchers' tombstone_ttl. While a store is away it
asks again, for `patience` seconds in a row. Not safe for several threads at once: give each a Client.

    seq 1 1000 | distjob_client.py submit --queue primes [--id ID]    prints the id
    distjob_client.py wait ID [--timeout SECONDS]                     prints the conclusion

Exit status: 0 succeeded, 3 partly failed, 1 failed, cancelled, lost, unknown or not over yet, 69 a store stayed away.
"""

import argparse
import os
import sys
import threading
import time
import uuid
from typing import NamedTuple

import redis
from kazoo import exceptions as kazoo
from kazoo.client import KazooClient
from kazoo.handlers.threading import KazooTimeoutError

# Nobody knows whether a request that ended like this was, is, or will be carried out.
UNCLEAR = (
    redis.ConnectionError,  # LOADING, too
    redis.TimeoutError,
    redis.ReadOnlyError,
    kazoo.ConnectionLoss,
    kazoo.ConnectionClosedError,
    kazoo.OperationTimeoutError,
    kazoo.SessionExpiredError,
    KazooTimeoutError,
)
PUSH_TASKS = 1000  # in one request,
PUSH_BYTES = 1 << 20  # or fewer, when they have so many bytes
STAGED_S = 3600  # what was pushed for a job that never came to be expires after so long
ANSWER_S = 10  # then a request counts as unclear
LOOK_S = 5  # a watch may be lost with its connection; nobody waits longer than this for what it would have told


class Failed(Exception):
    """A job that was not submitted. Nothing of it will be run."""


class Unreachable(Exception):
    """A store was away for too long. It is not known what became of the last request: ask again, under the same id."""


class Job(NamedTuple):
    id: str
    created: bool  # False: a job of this id was submitted before, and nothing changed


class Ending(NamedTuple):
    conclusion: str  # succeeded, partly-failed, failed, cancelled, lost; unknown: nothing is left that could tell
    tasks: int = 0
    failed: int = 0


class Client:
    def __init__(self, zookeeper, store, root="/distjob", prefix="distjob:", patience=60):
        self.jobs = root.rstrip("/") + "/jobs"
        self.prefix = prefix
        self.patience = patience
        self.store = redis.Redis.from_url(store, socket_timeout=ANSWER_S, socket_connect_timeout=ANSWER_S)
        self.ledger = KazooClient(hosts=zookeeper, timeout=10)
        self.ledger.start_async()  # connects, and connects again, until close()
        try:
            self._check_mark()
        except BaseException:
            self.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.ledger.stop()
        self.ledger.close()
        self.store.close()

    # Submitting: push to a list that only this attempt knows, create the znode that names it, make the list the job's own.

    def submit(self, tasks, queue="default", id=None, deadline_ms=None):
        """Makes a job of `tasks` (an iterable of str or bytes), and returns when it is safe.

        Under the same `id` again it changes nothing, so whoever gets Unreachable repeats the call with it. The tasks of a
        job with a `deadline_ms` (milliseconds since 1970) that have not ended by then are recorded as failed.
        """
        id, token = id or uuid.uuid4().hex, uuid.uuid4().hex
        staged = self._key(id, f"in:{token}")
        count = self._push(staged, tasks)
        data = f"subm={count};queue={queue};from={token}"
        if deadline_ms is not None:
            data += f";deadline={deadline_ms}"
        life = self._create(id, token, data.encode())
        if life is None:
            self._again(lambda: self.store.unlink(staged))
            self._vouch(id)
            return Job(id, False)
        if life and count:
            try:
                self._open(id, life, token, count)
            except Failed:
                self._take_back(id, life)
                raise
        return Job(id, True)

    def _push(self, staged, tasks):
        """Appends all tasks, batch by batch; returns how many there are."""
        count, batch, size = 0, [], 0
        for task in tasks:
            task = task.encode() if isinstance(task, str) else bytes(task)
            if batch and (len(batch) == PUSH_TASKS or size + len(task) > PUSH_BYTES):
                count, batch, size = self._push_batch(staged, count, batch), [], 0
            batch.append(task)
            size += len(task)
        return self._push_batch(staged, count, batch) if batch else count

    def _push_batch(self, staged, offset, batch):
        def push(pipe):  # until EXEC nothing happens, and then only if nobody touched the list since WATCH
            length = pipe.llen(staged)
            if length == offset + len(batch):
                return  # it is there: the reply to an earlier attempt was lost
            if length != offset:
                raise Failed(f"the store has {length} of the {offset} tasks that were pushed")
            pipe.multi()
            pipe.rpush(staged, *batch)
            pipe.expire(staged, STAGED_S)

        self._again(lambda: self.store.transaction(push, staged))
        return offset + len(batch)

    def _create(self, id, token, data):
        """The life of the job that this attempt created: the zxid of its znode's creation. Empty when it is over already,
        None when the id belongs to a job of somebody else's."""

        def create():
            # A znode that is gone may have been ours: an earlier create may have come through, and the job may be done.
            known = self.store.hget(self._key(id, "meta"), "source")
            if known is not None:
                return "" if known.decode() == token else None
            try:
                _, stat = self._ask(self.ledger.create_async, f"{self.jobs}/{id}", data, include_data=True)
                return life(stat)
            except kazoo.NodeExistsError:
                found, stat = self._ask(self.ledger.get_async, f"{self.jobs}/{id}")
                return life(stat) if fields(found).get("from") == token else None
            except kazoo.NoNodeError:
                raise Failed(f"there is no {self.jobs}: a daemon makes it when it runs first") from None

        while True:
            try:
                return self._again(create)
            except kazoo.NoNodeError:
                pass  # there, and gone before it could be read: look again

    def _vouch(self, id):
        """Makes the job of another attempt safe, which may have died before it could: the tasks would expire."""

        def look():
            try:
                return self._ask(self.ledger.get_async, f"{self.jobs}/{id}")
            except kazoo.NoNodeError:
                return None  # over

        found = self._again(look)
        if found and found[0].startswith(b"subm="):
            said = fields(found[0])
            if "from" in said and int(said["count"]):
                self._open(id, life(found[1]), said["from"], int(said["count"]))

    def _open(self, id, life, token, count):
        """Makes the list the job's own, or sees that somebody did. What was staged expires, what is open does not."""
        staged, meta, owned = (self._key(id, name) for name in (f"in:{token}", "meta", "tasks"))

        def open_it(pipe):
            length = pipe.llen(staged)
            # In this order: whoever took the list away meanwhile has said so before.
            known = pipe.hget(meta, "J")
            if known is not None and known.decode() >= life:
                return  # open; or done, even followed by another job of this id
            if length != count:
                raise Failed(f"the store has {length} of the {count} tasks: they expired, or it lost them")
            pipe.multi()
            pipe.unlink(meta, owned, *(self._key(id, name) for name in ("leases", "freed", "results")))
            pipe.rename(staged, owned)
            pipe.persist(owned)
            numbers = {"n": count, "cursor": 0, "committed": 0, "failed": 0}
            pipe.hset(meta, mapping={"J": life, "state": "open", "source": token, **numbers})

        self._again(lambda: self.store.transaction(open_it, meta, staged))

    def _take_back(self, id, created):
        """Cancels a job that will never have its tasks."""

        def cancel():
            try:
                data, stat = self._ask(self.ledger.get_async, f"{self.jobs}/{id}")
                state, rest = data.split(b"=", 1)
                if life(stat) == created and state in (b"subm", b"prcd", b"zpd"):
                    self._ask(self.ledger.set_async, f"{self.jobs}/{id}", b"cncl=" + rest, stat.version)
            except kazoo.NoNodeError:
                pass
            except kazoo.BadVersionError:
                return False
            return True

        while not self._again(cancel):
            pass

    # Waiting: the znode goes when the job is over, and a tombstone in the store tells for some hours how it ended.

    def wait(self, id, timeout=None):
        """How the job ended, once it is delivered; None when it is not after `timeout` seconds."""
        ends = None if timeout is None else time.monotonic() + timeout
        changed, last = threading.Event(), {}

        def tell(_):  # one function for all reads: kazoo keeps each that it has not called yet
            changed.set()

        while True:
            changed.clear()
            data = self._again(lambda: self._read(id, tell))
            if data is None:
                return self._ending(id, last)
            state, last = data.split(b"=", 1)[0], fields(data)
            if state in (b"lost", b"cncl"):
                return Ending("lost" if state == b"lost" else "cancelled", int(last["count"]))
            left = LOOK_S if ends is None else min(LOOK_S, ends - time.monotonic())
            if left <= 0:
                return None
            changed.wait(left)

    def _read(self, id, tell):
        path = f"{self.jobs}/{id}"
        for fresh in (False, True):
            if fresh:  # this server may not have heard of the job yet
                self._ask(self.ledger.sync_async, path)
            try:
                return self._ask(self.ledger.get_async, path, watch=tell)[0]
            except kazoo.NoNodeError:
                pass
        return None

    def _ending(self, id, last):
        """How a job ended that is gone, by what was last seen of it and by its tombstone."""
        if last.get("count") == "0":
            return Ending("succeeded")  # one without tasks may leave no tombstone, and nothing of it can have failed
        known = self._again(lambda: self.store.hgetall(self._key(id, "meta")))
        known = {name.decode(): value.decode(errors="replace") for name, value in known.items()}
        if "conclusion" not in last and "conclusion" in known:
            last = {**known, "count": known["n"]}
        return Ending(last.get("conclusion", "unknown"), int(last.get("count", 0)), int(last.get("failed", 0)))

    # What all of them need.

    def _key(self, id, name):
        return f"{self.prefix}{{{id}}}:{name}"

    def _ask(self, request, *args, **kwargs):
        return request(*args, **kwargs).get(timeout=ANSWER_S)

    def _again(self, call):
        """What `call` returns; it must be one that may be carried out twice."""
        ends = time.monotonic() + self.patience
        while True:
            try:
                return call()
            except UNCLEAR as error:
                if time.monotonic() > ends:
                    raise Unreachable(f"{type(error).__name__}: {error}") from error
            time.sleep(0.2)

    def _check_mark(self):
        """The store says to which ledger it belongs. A job whose tasks are in another one would be declared lost."""

        def look():
            return self.store.get(f"{self.prefix}ledger"), self._ask(self.ledger.exists_async, self.jobs)

        mark, stat = self._again(look)
        if mark is None or stat is None or mark.decode() != life(stat):
            raise Failed(f"{self.jobs} and this store do not belong together, or no daemon has run here yet")


def life(stat):
    return f"{stat.czxid:016x}"


def fields(data):
    """`subm=5000;queue=primes;from=...` as a dict, the number in front as `count`."""
    head, *rest = data.decode(errors="replace").split(";")
    return dict((part.split("=", 1) for part in rest if "=" in part), count=head.partition("=")[2] or "0")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--zookeeper", default=os.environ.get("ZOOKEEPER", "127.0.0.1:2181"))
    parser.add_argument("--redis", default=os.environ.get("REDIS_URL", "redis://127.0.0.1:6379/0"))
    parser.add_argument("--root", default=os.environ.get("ROOT", "/distjob"))
    parser.add_argument("--prefix", default=os.environ.get("PREFIX", "distjob:"))
    commands = parser.add_subparsers(dest="command", required=True)
    submit = commands.add_parser("submit", help="each line of standard input is a task")
    submit.add_argument("--queue", default="default")
    submit.add_argument("--id")
    wait = commands.add_parser("wait", help="until a job is delivered")
    wait.add_argument("id")
    wait.add_argument("--timeout", type=float)
    args = parser.parse_args()
    try:
        with Client(args.zookeeper, args.redis, args.root, args.prefix) as client:
            if args.command == "submit":
                lines = (line.removesuffix(b"\n") for line in sys.stdin.buffer)
                job = client.submit(lines, args.queue, args.id)
                if job.created:
                    print(job.id)
                else:
                    print(f"{job.id} was submitted before", file=sys.stderr)
                return 0
            ending = client.wait(args.id, args.timeout)
            print(ending.conclusion if ending else "waiting")
            return {"succeeded": 0, "partly-failed": 3}.get(ending.conclusion, 1) if ending else 1
    except Failed as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except Unreachable as error:
        print(f"error: a store stayed away: {error}", file=sys.stderr)
        return 69


if __name__ == "__main__":
    sys.exit(main())
