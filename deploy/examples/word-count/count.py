#!/usr/bin/python3
"""A worker: the words of one text file, whose path the task is. The value is JSON, such as {"a": 2, "word": 1}."""

import json
import os
import pathlib
import sys

sys.path.append(str(pathlib.Path(__file__).resolve().parent.parent / "workers"))

import words
import worker  # the example of a worker, which brings everything but the work


def handle(payload, request):
    path = os.fsdecode(payload)
    if not os.path.exists(path):
        raise worker.Final(f"there is no {path}")
    return json.dumps(words.count(path), ensure_ascii=False)


if __name__ == "__main__":
    worker.handle = handle
    worker.main()
