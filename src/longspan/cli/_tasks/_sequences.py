"""What tasks have in common whose data are sequences with one row a step."""

from collections.abc import Mapping
from typing import Any

from longspan.cli._columns import Columns
from longspan.cli._data import Examples, facts_in_words, hold_out, is_ts, warn_of_unseen_labels
from longspan.cli._models import fit
from longspan.cli._tasks._job import Job


class SequenceJob(Job[Examples]):
    """A task that learns from sequences."""

    def facts(self, data: Examples, source: str) -> dict[str, Any]:
        """Return numbers of sequences, steps and features."""
        return data.facts(source, self.task)

    def in_words(self, facts: Mapping[str, Any]) -> str:
        """Return the facts as a line."""
        return facts_in_words(facts)

    def count(self, data: Examples) -> int:
        """Return the number of sequences."""
        return len(data.sequences)

    def hold_out(self, data: Examples, fraction: float, seed: int) -> tuple[Examples, Examples]:
        """Hold out sequences by chance, classes in proportion, groups whole."""
        return hold_out(data, fraction, self.task, seed)

    def read_test(self, source: str, training: Examples) -> Examples:
        """Read the same columns of another file."""
        testing = self.read(source, Columns() if is_ts(source) else training.columns)
        warn_of_unseen_labels(training, testing, self.task)
        return testing

    def fit(self, estimator: Any, training: Examples) -> None:
        """Train on the sequences."""
        fit(estimator, training)

    def notes(self, training: Examples) -> dict[str, Any]:
        """Remember the columns."""
        return training.columns.notes()
