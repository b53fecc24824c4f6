#!/usr/bin/python3
"""A worker for executor-d's `worker` handler, with nothing but Python's standard library: the SHA-256 of each task.

    [queues.hashes]
    handler = "worker"
    [queues.hashes.worker]
    argv = ["/usr/bin/python3", "/opt/distjob/worker.py"]
    in_flight = 16

Put your own work into handle(). The executor starts this program once for each of its slots and keeps it: load what
takes long before main(). Each line of standard input is a request, each line of standard output a reply; the end of
the input is the end of the program. Try it by hand, for one task: python3 worker.py hello
"""

import base64
import hashlib
import json
import os
import sys
import time
import traceback


class Final(Exception):
    """An error that another attempt would not mend."""


def handle(payload, request):
    """The value of a task, as str or bytes. `request` has `job`, `index`, `attempt`, `queue` and `key`, too.

    Every exception makes this attempt fail; the queue's `attempts` says how many there are.
    """
    if not payload:
        raise Final("an empty task")
    return hashlib.sha256(payload).hexdigest()


def payload_of(request):
    if "payload" in request:
        return request["payload"].encode()
    return base64.b64decode(request["payload_base64"])  # bytes that are no text


def reply_to(line):
    request = json.loads(line)
    reply = {"id": request["id"]}
    try:
        value = handle(payload_of(request), request)
        if isinstance(value, bytes):
            reply["value_base64"] = base64.b64encode(value).decode()
        else:
            reply["value"] = value
    except Final as error:
        reply.update(error=str(error), final=True)
    except Exception as error:
        traceback.print_exc()  # to standard error: the executor's log, and the end of it to the task's outcome
        reply["error"] = f"{type(error).__name__}: {error}"
    return json.dumps(reply).encode() + b"\n"


def main():
    # Replies have standard output for themselves: what print() writes, here or in any library, goes to the log.
    output = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    rest = b""
    # With more than one request in flight, several come and go at once: a read and a write for all of them.
    while chunk := os.read(0, 1 << 16):
        *lines, rest = (rest + chunk).split(b"\n")
        flushed = time.monotonic()
        for line in lines:
            output.write(reply_to(line))
            # A reply does not wait for tasks that take long.
            if time.monotonic() - flushed > 0.01:
                output.flush()
                flushed = time.monotonic()
        output.flush()


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(handle(os.fsencode(sys.argv[1]), {}))
    else:
        main()
