"""Labels and numbers: a classifier or a regressor."""

from typing import TYPE_CHECKING, Any

from longspan.cli._columns import Columns
from longspan.cli._data import Examples, read_examples
from longspan.cli._options import Task
from longspan.cli._output import counted
from longspan.cli._scores import NAMES, constant, flat, score
from longspan.cli._tasks._job import Plan, Tested
from longspan.cli._tasks._sequences import SequenceJob

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Supervised(SequenceJob):
    """Learn labels or numbers.

    Parameters
    ----------
    task : Task
    """

    def __init__(self, task: Task):
        self.task = task

    def fixed_parameters(self, source: str, columns: Columns) -> dict[str, Any]:
        """Say whether there is a target at every step."""
        return {"per_step": columns.per_step}

    def read(self, source: str, columns: Columns) -> Examples:
        """Read sequences and their targets."""
        return read_examples(source, columns, task=self.task)

    def test(self, estimator: Any, training: Examples, testing: Examples, plan: Plan) -> Tested:
        """Compare predictions, and a constant, with the truth."""
        predicted = flat(estimator.predict(testing.sequences))
        result = _scores(self.task, training, testing, predicted)
        parts: dict[str, Any] = result.get("targets") or {"": result}
        rows = [
            (f"{target} {NAMES[name]}".strip(), value, part["constant"][name])
            for target, part in parts.items()
            for name, value in part["score"].items()
        ]
        title = f"on {counted(len(testing.sequences), 'sequence')} held out"
        return Tested(result, title, ("", "model", "constant"), rows, self._pictures(testing, predicted))

    def _pictures(self, testing: Examples, predicted: "NDArray[Any]") -> dict[str, Any]:
        from longspan.cli import _pictures as draw

        truth, names = testing.flat_targets, testing.columns.targets
        if self.task is Task.CLASSIFY:
            return {"confusion.png": lambda: draw.confusion(truth, predicted)}
        return {"predicted.png": lambda: draw.predicted_against_true(truth, predicted, names)}


def _scores(task: Task, training: Examples, testing: Examples, predicted: "NDArray[Any]") -> dict[str, Any]:
    """Return the scores of the model and of a constant, of all targets and of each of several."""
    truth = testing.flat_targets
    always = constant(task, training, truth)
    found: dict[str, Any] = {"score": score(task, truth, predicted), "constant": score(task, truth, always)}
    if truth.ndim > 1:
        found["targets"] = {
            name: {"score": score(task, *pair), "constant": score(task, truth[:, column], always[:, column])}
            for column, name in enumerate(testing.columns.targets)
            for pair in [(truth[:, column], predicted[:, column])]
        }
    return found
