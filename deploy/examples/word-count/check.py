#!/usr/bin/python3
"""Counts the words of all text files again, plainly, and compares: check.py DIRECTORY ARCHIVE.zip."""

import collections
import json
import pathlib
import sys
import zipfile

import words


def main():
    texts, archive = sorted(pathlib.Path(sys.argv[1]).glob("*.txt")), zipfile.ZipFile(sys.argv[2])
    if (broken := archive.testzip()) is not None:
        sys.exit(f"{broken} is damaged")
    (result,) = (name for name in archive.namelist() if not name.endswith("manifest.json"))
    found = json.loads(archive.read(result))
    expected = sum(map(words.count, texts), collections.Counter())
    if found != expected:
        differing = sorted(word for word in found.keys() | expected if found.get(word) != expected.get(word))
        sys.exit(f"{len(differing)} words differ, the first is {differing[0]!r}")
    print(f"the same: {expected.total()} words, {len(expected)} different ones, in {len(texts)} files")


if __name__ == "__main__":
    main()
