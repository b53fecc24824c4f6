"""What a word is: this much is the same for the workers and for the check of what they did."""

import collections
import pathlib
import re


def count(path):
    """How often each word stands in a text file."""
    return collections.Counter(re.findall(r"\w+", pathlib.Path(path).read_text(encoding="utf-8").lower()))
