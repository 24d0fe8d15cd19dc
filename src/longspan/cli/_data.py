"""Sequences that a person names, columns of a table or a ``.ts`` file, and a part held out of them."""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from longspan.cli._columns import Columns
from longspan.cli._options import Task
from longspan.cli._output import counted
from longspan.errors import DataError, LongspanWarning, TargetError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from longspan.sequences import Sequences


@dataclass(frozen=True)
class Examples:
    """Sequences with their targets.

    Attributes
    ----------
    targets : array (N,) or (N, K), or list of arrays (T_i,) or (T_i, K), or None
    groups : array (N,), or None
    keys : array (N,)
        What each sequence is called.
    times : array (sum T_i,), or None
        What each step is called.
    columns : Columns
        With the features that were found.
    """

    sequences: "Sequences"
    targets: "NDArray[Any] | list[NDArray[Any]] | None"
    groups: "NDArray[Any] | None"
    keys: "NDArray[Any]"
    times: "NDArray[Any] | None"
    columns: Columns

    def take(self, index: "NDArray[np.int64]") -> "Examples":
        """Return some of them."""
        targets = [self.targets[i] for i in index] if isinstance(self.targets, list) else self.targets
        if targets is not None and not isinstance(targets, list):
            targets = targets[index]
        groups = None if self.groups is None else self.groups[index]
        return Examples(self.sequences[index], targets, groups, self.keys[index], None, self.columns)

    @property
    def flat_targets(self) -> "NDArray[Any]":
        """One row for each target: a sequence, or a step."""
        import numpy as np

        return np.concatenate(self.targets) if isinstance(self.targets, list) else np.asarray(self.targets)

    def facts(self, source: str, task: Task) -> dict[str, Any]:
        """Return what a person wants to see confirmed about the data."""
        import numpy as np

        lengths = self.sequences.lengths
        found: dict[str, Any] = {
            "source": source,
            "sequences": len(self.sequences),
            "shortest": int(lengths.min()),
            "longest": int(lengths.max()),
            "features": list(self.columns.features) or self.sequences.n_features,
            "target": list(self.columns.targets) or None,
        }
        if task is Task.CLASSIFY:
            labels, counts = np.unique(self.flat_targets, return_counts=True)
            found["classes"] = {str(label): int(count) for label, count in zip(labels, counts, strict=True)}
        if self.groups is not None:
            found["groups"] = len(np.unique(self.groups))
        return found


def facts_in_words(facts: Mapping[str, Any]) -> str:
    """Return the sentence of what `Examples.facts` found."""
    features = facts["features"]
    many = features if isinstance(features, int) else len(features)
    steps = f"{facts['shortest']} to {facts['longest']} steps"
    if facts["shortest"] == facts["longest"]:
        steps = counted(facts["longest"], "step")
    parts = [counted(facts["sequences"], "sequence"), steps, counted(many, "feature")]
    if "classes" in facts:
        parts.append(counted(len(facts["classes"]), "class", "classes"))
    if "groups" in facts:
        parts.append(counted(facts["groups"], "group"))
    return f"{facts['source']}: {', '.join(parts)}"


def read_examples(source: str, columns: Columns, *, task: Task | None = None) -> Examples:
    """Read a table or a ``.ts`` file; with `task`, check that there are targets of its kind."""
    examples = _read_ts_file(source, columns) if is_ts(source) else _read_table(source, columns, task)
    if task is not None:
        _check_targets(examples, task)
    return examples


def is_ts(source: str) -> bool:
    """Whether the name is that of a ``.ts`` file."""
    return Path(source).suffix.lower() == ".ts"


def _read_table(source: str, columns: Columns, task: Task | None) -> Examples:
    if columns.series is None:
        raise typer.BadParameter("the column that says which series a row belongs to is needed.", param_hint="--series")
    if task is not None:
        need_target(columns)
    from longspan.io import read_table

    one = len(columns.targets) == 1
    table = read_table(
        source,
        series=columns.series,
        time=columns.time,
        features=columns.features or None,
        target=columns.targets[0] if one else columns.targets or None,
        group=columns.group,
        per_step=columns.per_step,
        query=columns.query,
        table=columns.table,
    )
    found = replace(columns, features=table.feature_names)
    return Examples(table.sequences, table.targets, table.groups, table.keys, table.times, found)


def need_target(columns: Columns) -> None:
    """Raise unless a column to learn is named."""
    if not columns.targets:
        raise typer.BadParameter("the column to learn is needed.", param_hint="--target")


def _read_ts_file(source: str, columns: Columns) -> Examples:
    given = [
        f"--{name}" for name in ("series", "time", "features", "group", "query", "table") if getattr(columns, name)
    ]
    given += ["--target"] if columns.targets else []
    given += ["--per-step"] if columns.per_step else []
    if given:
        raise typer.BadParameter("a .ts file has no columns to name.", param_hint=", ".join(given))
    import numpy as np

    from longspan.io import read_ts

    data = read_ts(source)
    return Examples(data.sequences, data.targets, None, np.arange(len(data.sequences)), None, columns)


def _check_targets(examples: Examples, task: Task) -> None:
    """Raise where labels were meant and numbers are there, or the other way round."""
    if examples.targets is None:
        raise TargetError("the file has no targets: its header has neither @classLabel nor @targetLabel.")
    targets = examples.flat_targets
    name = ", ".join(examples.columns.targets) or "target"
    if task is Task.REGRESS and targets.dtype.kind not in "biuf":
        raise TargetError(f"{name} is not numeric: it has {targets.flat[0]!s}. For labels:  --task classify")
    if task is Task.CLASSIFY:
        if targets.ndim > 1:
            raise TargetError(f"one target can be classified at a time, but there are {targets.shape[1]}: {name}.")
        broken = targets[targets % 1 != 0] if targets.dtype.kind == "f" else targets[:0]
        if len(broken):
            raise TargetError(f"{name} has numbers as {broken[0]:g}, which are no labels. Try:  --task regress")


def hold_out(examples: Examples, fraction: float, task: Task, seed: int) -> tuple[Examples, Examples]:
    """Return a part to learn from and a part to test on; a group is in one of them only."""
    from longspan.data import split_sequences

    units = examples.sequences if examples.groups is None else set(examples.groups.tolist())
    if len(units) < 2:
        what = "sequence" if examples.groups is None else "group"
        raise DataError(f"there is only one {what}, so that no test part can be held out.")
    labels = examples.targets if task is Task.CLASSIFY and not isinstance(examples.targets, list) else None
    kept, held = split_sequences(
        len(examples.sequences), fraction, groups=examples.groups, stratify=labels, random_state=seed
    )
    training, testing = examples.take(kept), examples.take(held)
    warn_of_unseen_labels(training, testing, task)
    return training, testing


def warn_of_unseen_labels(training: Examples, testing: Examples, task: Task) -> None:
    """Warn of labels that are tested on but never learned."""
    if task is not Task.CLASSIFY:
        return
    unseen = sorted(map(str, set(testing.flat_targets.tolist()) - set(training.flat_targets.tolist())))
    if not unseen:
        return
    some = ", ".join(unseen[:5]) + (", ..." if len(unseen) > 5 else "")
    hint = "" if training.groups is None else "\n  A group is never on both sides: does the group decide the label?"
    warnings.warn(
        f"{counted(len(unseen), 'label')} of the test part never occur in training, and cannot be predicted: {some}."
        f"{hint}",
        LongspanWarning,
        stacklevel=2,
    )
