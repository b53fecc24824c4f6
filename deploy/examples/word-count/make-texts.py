#!/usr/bin/python3
"""Makes a thousand text files to count words in: make-texts.py DIRECTORY [FILES]. The same ones each time."""

import itertools
import pathlib
import random
import sys

SYLLABLES = ["bo", "de", "fi", "go", "ku", "la", "me", "ni", "or", "pu", "ra", "se", "ti", "vo", "wu", "zé"]
WORDS = ["".join(parts) for parts in itertools.product(SYLLABLES, repeat=3)]
WEIGHTS = [1 / rank for rank in range(1, len(WORDS) + 1)]  # the second word is half as frequent as the first, and so on


def main():
    directory, files = pathlib.Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 1000
    directory.mkdir(parents=True, exist_ok=True)
    chance = random.Random(1969)
    for number in range(files):
        words = chance.choices(WORDS, WEIGHTS, k=chance.randint(100, 600))
        lines = (" ".join(words[at : at + 12]) for at in range(0, len(words), 12))
        (directory / f"{number:04}.txt").write_text(".\n".join(lines).capitalize() + ".\n", encoding="utf-8")


if __name__ == "__main__":
    main()
