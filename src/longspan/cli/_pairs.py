"""Texts that answer texts, or sequences, or nothing: read, described, and split."""

from collections.abc import Sequence as Several
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from longspan.cli._columns import Columns
from longspan.cli._data import is_ts, need_target, read_examples
from longspan.cli._output import counted
from longspan.errors import DataError, EmptyDataError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from longspan.sequences import Sequences

    Texts = list[str] | list[list[str]]

_TABLES = {".csv", ".tsv", ".parquet", ".jsonl", ".ndjson", ".json", ".duckdb", ".db", ".gz", ".zst", ".ts"}


@dataclass(frozen=True)
class Pairs:
    """Targets of symbols, and what they answer.

    Attributes
    ----------
    sources : Sequences, list of str or list of list of str, or None
    targets : list of str or list of list of str, or None
        None where only sources were read, to be answered.
    groups : array (N,), or None
    keys : array (N,), or None
        What each pair is called: its series.
    texts : list of str, or None
        The sources as they stand in the table.
    columns : Columns
    """

    sources: "Sequences | Texts | None"
    targets: "Texts | None"
    groups: "NDArray[Any] | None"
    keys: "NDArray[Any] | None"
    texts: "list[str] | None"
    columns: Columns

    def __len__(self) -> int:
        known = self.sources if self.targets is None else self.targets
        return 0 if known is None else len(known)

    @property
    def is_one_text(self) -> bool:
        """Whether there is a single long text and no source: parts of it are told apart by where they stand."""
        return self.sources is None and self.targets is not None and len(self.targets) == 1

    def take(self, index: "NDArray[np.int64]") -> "Pairs":
        """Return some of them."""
        return replace(
            self,
            sources=_taken(self.sources, index),
            targets=_taken(self.targets, index),
            groups=_taken(self.groups, index),
            keys=_taken(self.keys, index),
            texts=_taken(self.texts, index),
        )

    def facts(self, source: str) -> dict[str, Any]:
        """Return what a person wants to see confirmed about the data."""
        lengths = [len(target) for target in self.targets or ()]
        found: dict[str, Any] = {
            "source": source,
            "pairs": len(self),
            "shortest": min(lengths),
            "longest": max(lengths),
            "symbols": len(set().union(*(self.targets or ()))),
            "target": list(self.columns.targets) or None,
        }
        if isinstance(self.sources, list):
            found["source_symbols"] = len(set().union(*self.sources))
        elif self.sources is not None:
            found["features"] = list(self.columns.features) or self.sources.n_features
            found["source_shortest"] = int(self.sources.lengths.min())
            found["source_longest"] = int(self.sources.lengths.max())
        return found


def _taken(values: Any, index: "NDArray[np.int64]") -> Any:
    if values is None:
        return None
    return [values[i] for i in index.tolist()] if isinstance(values, list) else values[index]


def pairs_in_words(facts: Any) -> str:
    """Return the sentence of what `Pairs.facts` found."""
    steps = f"{facts['shortest']:,} to {facts['longest']:,} symbols"
    if facts["shortest"] == facts["longest"]:
        steps = counted(facts["longest"], "symbol")
    kinds = f"{facts['symbols']:,} different"
    if "features" in facts:
        features = facts["features"] if isinstance(facts["features"], int) else len(facts["features"])
        read = f"{counted(facts['pairs'], 'sequence')} of {counted(features, 'feature')} with texts of"
    elif "source_symbols" in facts:
        read = (
            f"{counted(facts['pairs'], 'pair')}, sources of {facts['source_symbols']:,} different symbols, targets of"
        )
    else:
        read = f"{counted(facts['pairs'], 'text')} of"
    return f"{facts['source']}: {read} {steps}, {kinds}"


def is_plain_text(source: str, columns: Columns) -> bool:
    """Whether a file is one text, and no table."""
    named = columns.targets or columns.source or columns.series or columns.query
    return not named and Path(source).suffix.lower() not in _TABLES


def read_pairs(source: str, columns: Columns, *, answers: bool = True) -> Pairs:
    """Read pairs; `answers` says whether there are targets."""
    if is_plain_text(source, columns):
        from longspan.io.texts import read_text_file

        return Pairs(None, split_texts([read_text_file(source)], columns.split, "text"), None, None, None, columns)
    if is_ts(source):
        raise typer.BadParameter("a .ts file has no texts to learn.", param_hint="--task")
    if answers:
        need_target(columns)
        if len(columns.targets) > 1:
            raise typer.BadParameter("one text can be learned at a time.", param_hint="--target")
    return _read_series(source, columns, answers) if columns.series else _read_texts(source, columns, answers)


def _read_series(source: str, columns: Columns, answers: bool) -> Pairs:
    """Read sequences of numbers, each with a text."""
    if columns.source is not None:
        raise typer.BadParameter("the source is a column of texts, or the rows of a series.", param_hint="--source")
    wanted = columns if answers else replace(columns, targets=())
    examples = read_examples(source, wanted)
    targets = None
    if answers:
        texts = [str(text) for text in examples.flat_targets.tolist()]
        targets = split_texts(texts, columns.split, columns.targets[0])
    return Pairs(examples.sequences, targets, examples.groups, examples.keys, None, examples.columns)


def _read_texts(source: str, columns: Columns, answers: bool) -> Pairs:
    """Read texts, or texts that answer texts, one row each."""
    given = [f"--{name}" for name in ("time", "features") if getattr(columns, name)]
    if given:
        raise typer.BadParameter("belongs to series of numbers; name them with --series.", param_hint=given[0])
    import numpy as np

    from longspan.io.texts import read_texts

    names = [columns.source, *(columns.targets if answers else ()), columns.group if answers else None]
    wanted = list(dict.fromkeys(name for name in names if name is not None))
    table = read_texts(source, wanted, query=columns.query, table=columns.table)
    sources = targets = texts = groups = None
    if columns.source is not None:
        texts = table[columns.source]
        sources = split_texts(texts, columns.source_split, columns.source)
    if answers:
        targets = split_texts(table[columns.targets[0]], columns.split, columns.targets[0])
        groups = None if columns.group is None else np.array(table[columns.group])
    return Pairs(sources, targets, groups, None, texts, columns)


def split_texts(texts: Several[str], separator: str | None, name: str) -> "Texts":
    """Return the symbols of each text: characters, or what a separator stands between."""
    found: Any = list(texts)
    if separator:
        found = [[symbol for symbol in text.split(separator) if symbol] for text in texts]
    for row, symbols in enumerate(found):
        if not symbols:
            raise EmptyDataError(f"{name!r} is empty in row {row + 1}: a text has one symbol or more.")
    return found  # type: ignore[no-any-return]


def joined(symbols: Any, separator: str | None) -> str:
    """Return symbols as a text."""
    return symbols if isinstance(symbols, str) else (separator or " ").join(map(str, symbols))


def hold_out_pairs(pairs: Pairs, fraction: float, seed: int) -> tuple[Pairs, Pairs]:
    """Return a part to learn from and one to test on: equal sources on one side; of a single text its end."""
    if pairs.is_one_text:
        return _cut(pairs, fraction)
    import numpy as np

    from longspan.data import split_sequences

    groups = pairs.groups
    if groups is None and isinstance(pairs.sources, list):
        groups = np.unique(np.array(["\0".join(source) for source in pairs.sources]), return_inverse=True)[1]
    if (len(pairs) if groups is None else len(np.unique(groups))) < 2:
        raise DataError("there is only one source or group, so that no test part can be held out.")
    kept, held = split_sequences(len(pairs), fraction, groups=groups, random_state=seed)
    return pairs.take(kept), pairs.take(held)


def _cut(pairs: Pairs, fraction: float) -> tuple[Pairs, Pairs]:
    text: Any = (pairs.targets or [""])[0]
    place = round(len(text) * (1 - fraction))
    if not 0 < place < len(text):
        raise DataError(f"the text has {len(text)} symbols, so that no test part can be held out.")
    return replace(pairs, targets=[text[:place]]), replace(pairs, targets=[text[place:]])
