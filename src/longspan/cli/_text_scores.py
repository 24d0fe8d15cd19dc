"""How good texts are, symbol by symbol, beside the most frequent answer and the frequencies of symbols."""

import math
from collections import Counter
from typing import Any


def edit_distance(a: Any, b: Any) -> int:
    """Return how many symbols must be put in, left out or exchanged to make one text of another (Levenshtein 1966).

    Examples
    --------
    >>> edit_distance("kitten", "sitting"), edit_distance(["k", "ae"], [])
    (3, 2)
    """
    import numpy as np

    if not len(a) or not len(b):
        return max(len(a), len(b))
    codes = {symbol: code for code, symbol in enumerate({*a, *b})}
    columns = np.array([codes[symbol] for symbol in b])
    places = np.arange(len(columns) + 1)
    row = places.copy()
    for step, symbol in enumerate(a, start=1):
        kept = np.minimum(row[1:] + 1, row[:-1] + (columns != codes[symbol]))
        # What is put in goes from left to right: the least of all that came before, one more for each place.
        row = np.minimum.accumulate(np.concatenate(([step], kept)) - places) + places
    return int(row[-1])


def answers_score(truth: Any, predicted: Any) -> dict[str, float]:
    """Return the share of targets that are exactly right, and the errors for each symbol of the truth."""
    pairs = list(zip(truth, predicted, strict=True))
    edits = sum(edit_distance(right, said) for right, said in pairs)
    return {
        "exact": sum(right == said for right, said in pairs) / len(pairs),
        "symbol_error_rate": edits / sum(map(len, truth)),
    }


def most_frequent(targets: Any) -> Any:
    """Return the target that occurs most often, the first of them."""
    counts = Counter(target if isinstance(target, str) else tuple(target) for target in targets)
    found = counts.most_common(1)[0][0]
    return found if isinstance(found, str) else list(found)


def perplexity_of_frequencies(learned: Any, truth: Any) -> float:
    """Return the perplexity of texts if each symbol, and the end, had its frequency in the texts learned from.

    Symbols that were not learned count as if they had been seen once.

    Examples
    --------
    >>> round(perplexity_of_frequencies(["ab" * 500], ["ab" * 500]), 2)
    2.01
    """
    counts = Counter(symbol for text in learned for symbol in text)
    total = counts.total() + len(learned)
    steps = [counts.get(symbol, 1) for text in truth for symbol in text] + [len(learned)] * len(truth)
    return math.exp(-sum(math.log(count / total) for count in steps) / len(steps))
