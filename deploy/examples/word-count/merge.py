#!/usr/bin/python3
"""A worker: adds up what count.py said of all files. The task tells where the results of the job before stand.

It is JSON, made by the watcher: {"job": …, "locations": {"default": "/path/of/the/result.jsonl.gz"}, …}.
"""

import collections
import gzip
import json
import pathlib
import sys

sys.path.append(str(pathlib.Path(__file__).resolve().parent.parent / "workers"))

import worker


def handle(payload, request):
    total = collections.Counter()
    with gzip.open(json.loads(payload)["locations"]["default"], "rt", encoding="utf-8") as lines:
        for line in lines:
            total.update(json.loads(json.loads(line)["value"]))
    return json.dumps(dict(total.most_common()), ensure_ascii=False)


if __name__ == "__main__":
    worker.handle = handle
    worker.main()
