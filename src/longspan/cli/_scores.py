"""How good predictions are, beside those of a constant."""

from typing import TYPE_CHECKING, Any

from longspan.cli._data import Examples
from longspan.cli._options import Task

if TYPE_CHECKING:
    from numpy.typing import NDArray

Scores = dict[str, float]

NAMES = {
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
    "rmse": "RMSE",
    "mae": "MAE",
    "r2": "R2",
}
MAIN = {Task.CLASSIFY: "accuracy", Task.REGRESS: "rmse"}
HIGHER_IS_BETTER = {"accuracy", "balanced_accuracy", "r2"}


def score(task: Task, truth: "NDArray[Any]", predicted: "NDArray[Any]") -> Scores:
    """Return every measure of the task; R2, RMSE and MAE of several targets are averaged."""
    return _score_labels(truth, predicted) if task is Task.CLASSIFY else _score_numbers(truth, predicted)


def _score_labels(truth: "NDArray[Any]", predicted: "NDArray[Any]") -> Scores:
    import numpy as np
    from sklearn.metrics import accuracy_score, recall_score

    if truth.dtype.kind != predicted.dtype.kind:
        truth, predicted = truth.astype(str), predicted.astype(str)
    # Only classes that are there: one that was predicted but never occurs has no recall.
    recall = recall_score(truth, predicted, labels=np.unique(truth), average="macro", zero_division=0)
    return {"accuracy": float(accuracy_score(truth, predicted)), "balanced_accuracy": float(recall)}


def _score_numbers(truth: "NDArray[Any]", predicted: "NDArray[Any]") -> Scores:
    from sklearn.metrics import mean_absolute_error, r2_score, root_mean_squared_error

    return {
        "rmse": float(root_mean_squared_error(truth, predicted)),
        "mae": float(mean_absolute_error(truth, predicted)),
        "r2": float(r2_score(truth, predicted)) if len(truth) > 1 else float("nan"),
    }


def constant(task: Task, training: Examples, truth: "NDArray[Any]") -> "NDArray[Any]":
    """Return, for each row of `truth`, the most frequent label or the mean of the training part."""
    import numpy as np

    learned = training.flat_targets
    if task is Task.CLASSIFY:
        labels, counts = np.unique(learned, return_counts=True)
        return np.full(len(truth), labels[counts.argmax()])
    return np.broadcast_to(learned.mean(axis=0), truth.shape)


def mean_of_known(values: "NDArray[Any]", axis: int) -> "NDArray[Any]":
    """Return means along an axis over what is a number; NaN where nothing is."""
    import numpy as np

    known = np.isfinite(values)
    counts = known.sum(axis=axis)
    means = np.where(known, values, 0.0).sum(axis=axis) / np.maximum(counts, 1)
    return np.where(counts > 0, means, np.nan)


def flat(predicted: Any) -> "NDArray[Any]":
    """Return predictions with one row a target: a sequence, or a step."""
    import numpy as np

    return np.concatenate(predicted) if isinstance(predicted, list) else np.asarray(predicted)
