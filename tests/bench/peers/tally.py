"""Which tasks are done: every worker writes a task's index into one pipe, and who measures reads them all.

A record is four bytes, so a write of one is whole, and costs a microsecond: nothing beside what a task costs in Python.
"""

import os
import struct
import tempfile
import threading
import time

# Where workers find the pipe.
VARIABLE = "PEERS_TALLY"
RECORD = struct.Struct("<I")
# What a worker writes before its first task.
READY = 0xFFFFFFFF
LIMIT_SECONDS = 100

_pipe = None


def report(index):
    """Writes a record, in a worker."""
    global _pipe
    if _pipe is None:
        _pipe = os.open(os.environ[VARIABLE], os.O_WRONLY)
    os.write(_pipe, RECORD.pack(index))


def is_prime(number):
    """The task itself, the same for every peer."""
    divisor = 2
    while divisor * divisor <= number:
        if number % divisor == 0:
            return False
        divisor += 1
    return number > 1


class Tally:
    """The end of the pipe at which records come out."""

    def __init__(self, workers, tasks):
        self.workers, self.tasks = workers, tasks
        self.ready, self.finished = threading.Event(), threading.Event()
        self.ended_at = None
        with tempfile.TemporaryDirectory() as directory:
            path = os.path.join(directory, "tally")
            os.mkfifo(path)
            # Kept by this open end, also without a name: workers open it by way of this process.
            self.pipe = os.open(path, os.O_RDWR)
        os.environ[VARIABLE] = f"/proc/{os.getpid()}/fd/{self.pipe}"
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        done, ready = [], 0
        while len(done) < self.tasks:
            # Seldom, so that reading takes no time from the workers.
            time.sleep(0.002)
            for (index,) in RECORD.iter_unpack(os.read(self.pipe, 65536)):
                if index == READY:
                    ready += 1
                else:
                    done.append(index)
            if ready == self.workers:
                self.ready.set()
        self.ended_at = time.monotonic()
        self.done = done
        self.finished.set()

    def measure(self, push):
        """Seconds from the first push until the last task is done; every task was then done once."""
        assert self.ready.wait(LIMIT_SECONDS), "workers do not come up"
        begun_at = time.monotonic()
        push()
        assert self.finished.wait(LIMIT_SECONDS), "tasks stay undone"
        assert sorted(self.done) == list(range(self.tasks)), "not every task was done once"
        return self.ended_at - begun_at
