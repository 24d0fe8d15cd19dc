"""Texts out of texts, out of sequences, or out of nothing: a decoder, tested by what it says."""

import math
import warnings
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import typer

from longspan.cli._columns import Columns
from longspan.cli._options import Task
from longspan.cli._output import counted
from longspan.cli._pairs import (
    Pairs,
    hold_out_pairs,
    joined,
    pairs_in_words,
    read_pairs,
    split_texts,
)
from longspan.cli._tasks._job import Job, Plan, Tested
from longspan.cli._text_scores import answers_score, most_frequent, perplexity_of_frequencies
from longspan.errors import DataError, LongspanWarning

if TYPE_CHECKING:
    from numpy.typing import NDArray

NAMES = {
    "exact": "exactly right",
    "symbol_error_rate": "symbol error rate",
    "perplexity": "perplexity",
    "bits_per_symbol": "bits per symbol",
}
_EXAMPLES = 5


class Decode(Job[Pairs]):
    """Learn to answer with a text."""

    task = Task.DECODE
    unit = ("pair", "pairs")

    def fixed_parameters(self, source: str, columns: Columns) -> dict[str, Any]:
        """Say what sources are: what was read decides, for columns of text hold text even where they look otherwise."""
        if columns.series:
            return {"source": "numbers", "target": "symbols"}
        return {"source": "symbols" if columns.source else "nothing", "target": "symbols"}

    def read(self, source: str, columns: Columns) -> Pairs:
        """Read pairs, or texts."""
        return read_pairs(source, columns)

    def facts(self, data: Pairs, source: str) -> dict[str, Any]:
        """Return numbers of pairs and symbols."""
        return data.facts(source)

    def in_words(self, facts: Mapping[str, Any]) -> str:
        """Return the facts as a line."""
        return pairs_in_words(facts)

    def count(self, data: Pairs) -> int:
        """Return the number of pairs."""
        return len(data)

    def amount(self, data: Pairs) -> str:
        """Return how many pairs or texts there are, or how long the one text is."""
        if data.is_one_text:
            return counted(len((data.targets or [""])[0]), "symbol")
        return counted(len(data), "text" if data.sources is None else "pair")

    def hold_out(self, data: Pairs, fraction: float, seed: int) -> tuple[Pairs, Pairs]:
        """Hold out pairs by chance, equal sources together; of a single text its end."""
        return hold_out_pairs(data, fraction, seed)

    def read_test(self, source: str, training: Pairs) -> Pairs:
        """Read the same columns of another file."""
        return read_pairs(source, training.columns)

    def fit(self, estimator: Any, training: Pairs) -> None:
        """Train on the pairs."""
        estimator.fit(training.sources, training.targets, groups=training.groups)

    def notes(self, training: Pairs) -> dict[str, Any]:
        """Remember the columns and what separates symbols."""
        return training.columns.notes()

    def test(self, estimator: Any, training: Pairs, testing: Pairs, plan: Plan) -> Tested:
        """Compare answers with the truth, symbol by symbol, beside the most frequent one."""
        result = decoder_scores(estimator, testing) | {"constant": _constant(training, testing)}
        rows = [(NAMES[name], value, result["constant"][name]) for name, value in result["score"].items()]
        title = f"on {self.amount(testing)} held out"
        return Tested(result, title, ("", "model", "constant"), rows, _pictures(estimator, testing))


def readable(estimator: Any, pairs: Pairs) -> "NDArray[Any]":
    """Return which pairs hold nothing but symbols that were there in training; warn of others."""
    import numpy as np

    kinds = [(pairs.targets, set(estimator.symbols_))]
    if isinstance(pairs.sources, list):
        kinds.append((pairs.sources, set(estimator.source_symbols_)))
    good, unseen = np.ones(len(pairs), dtype=bool), set()
    for texts, known in kinds:
        for row, text in enumerate(texts or ()):
            new = set(text) - known
            good[row] &= not new
            unseen |= new
    if unseen:
        some = ", ".join(map(repr, sorted(unseen)[:5])) + (", ..." if len(unseen) > 5 else "")
        wrong = int((~good).sum())
        verbs = ("has", "counts") if wrong == 1 else ("have", "count")
        warnings.warn(
            f"{counted(wrong, 'text')} to test on {verbs[0]} symbols that never occur in training, "
            f"and {verbs[1]} as wrong: {some}.",
            LongspanWarning,
            stacklevel=2,
        )
    return np.flatnonzero(good)


def decoder_scores(estimator: Any, testing: Pairs) -> dict[str, Any]:
    """Return the scores of a decoder, and for pairs the first answers.

    Without sources that is how surprising the texts are, symbol by symbol; unseen symbols are left out of a single one.
    """
    if testing.is_one_text:
        testing = _without_unseen(estimator, testing)
    index = readable(estimator, testing)
    if not len(index):
        raise DataError("none of the texts to test on has only symbols that the model knows.")
    known = testing.take(index)
    perplexity = float(estimator.perplexity(known.sources, known.targets))
    if testing.sources is None:
        return {"score": {"perplexity": perplexity, "bits_per_symbol": math.log2(perplexity)}}
    predicted: list[Any] = [""] * len(testing)
    for place, answer in zip(index.tolist(), estimator.predict(known.sources), strict=True):
        predicted[place] = answer
    scores = answers_score(testing.targets, predicted) | {"perplexity": perplexity}
    return {"score": scores, "examples": _examples(testing, predicted)}


def _examples(testing: Pairs, predicted: list[Any]) -> list[dict[str, Any]]:
    names = testing.texts if testing.texts is not None else testing.keys
    split = testing.columns.split
    rows = zip(range(_EXAMPLES), [] if names is None else names, testing.targets or (), predicted, strict=False)
    return [
        {"source": name, "target": joined(target, split), "predicted": joined(answer, split)}
        for _, name, target, answer in rows
    ]


def _without_unseen(estimator: Any, testing: Pairs) -> Pairs:
    text: Any = (testing.targets or [""])[0]
    known = set(estimator.symbols_)
    left = [symbol for symbol in text if symbol in known]
    lost = len(text) - len(left)
    if not lost:
        return testing
    unseen = ", ".join(map(repr, sorted(set(text) - known)[:5]))
    warnings.warn(
        f"{counted(lost, 'symbol')} of the text to test on {'does' if lost == 1 else 'do'} not occur in training, "
        f"and {'is' if lost == 1 else 'are'} left out: {unseen}.",
        LongspanWarning,
        stacklevel=2,
    )
    if not left:
        raise DataError("the text to test on has no symbol that the model knows.")
    kept: Any = "".join(left) if isinstance(text, str) else left
    return replace(testing, targets=[kept])


def _constant(training: Pairs, testing: Pairs) -> dict[str, float]:
    perplexity = perplexity_of_frequencies(training.targets, testing.targets)
    if testing.sources is None:
        return {"perplexity": perplexity, "bits_per_symbol": math.log2(perplexity)}
    always = most_frequent(training.targets)
    return answers_score(testing.targets, [always] * len(testing)) | {"perplexity": perplexity}


def attention_picture(estimator: Any, pairs: Pairs) -> Any:
    """Draw where the model looks while it answers a few sources."""
    import numpy as np

    from longspan.cli import _pictures as draw

    few = pairs.take(np.arange(min(4, len(pairs))))
    answers = estimator.predict(few.sources)
    told = [number for number, answer in enumerate(answers) if len(answer)]
    few, answers = few.take(np.array(told, dtype=np.int64)), [answers[number] for number in told]
    weights = estimator.attention_weights(few.sources, answers) if told else []
    sources = few.sources if isinstance(few.sources, list) else [None] * len(few)
    return draw.attention(weights, sources, answers)


def _pictures(estimator: Any, testing: Pairs) -> dict[str, Any]:
    if not estimator.network_.attends:
        return {}
    import numpy as np

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", LongspanWarning)  # said by the scores already
        index = readable(estimator, testing)
    # Long answers show more; beyond what fits on a page they show less.
    lengths = [abs(len((testing.targets or [])[place]) - 12) for place in index.tolist()]
    chosen = index[np.argsort(lengths, kind="stable")[:4]]
    return {"attention.png": lambda: attention_picture(estimator, testing.take(chosen))} if len(chosen) else {}


def read_prefix(decoder: Any, text: str, separator: str | None) -> Any:
    """Return the symbols of a beginning."""
    symbols = split_texts([text], separator, "--prefix")[0]
    unseen = [symbol for symbol in symbols if symbol not in decoder.symbols_]
    if unseen:
        raise typer.BadParameter(f"has {unseen[0]!r}, which was not there in training.", param_hint="--prefix")
    return symbols
