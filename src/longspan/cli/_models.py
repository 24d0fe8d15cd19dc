"""Estimators from options, checked before any data are read, and the files that they go to and come from."""

import os
from collections.abc import Iterable, Mapping
from glob import glob
from pathlib import Path
from typing import TYPE_CHECKING, Any

from longspan.cli._data import Examples
from longspan.cli._options import Task
from longspan.cli._parameters import check_placed
from longspan.errors import DataFileNotFoundError, ModelFileError, ParameterError

if TYPE_CHECKING:
    from longspan.estimators import LSTMClassifier, LSTMRegressor

    Estimator = LSTMClassifier | LSTMRegressor

_ESTIMATORS = {
    Task.CLASSIFY: "LSTMClassifier",
    Task.REGRESS: "LSTMRegressor",
    Task.ENCODE: "LSTMEncoder",
    Task.DECODE: "LSTMDecoder",
    Task.FORECAST: "LSTMForecaster",
}
_COMMANDS = {Task.CLASSIFY: "predict", Task.REGRESS: "predict"}


def make_estimator(task: Task, parameters: Mapping[str, Any], **others: Any) -> Any:
    """Return an estimator whose parameters can be worked with."""
    from longspan import estimators

    check_placed(task, parameters)
    given = {**parameters, **others}
    if given.get("pretrained") is not None:
        given["pretrained"] = load_model(Path(given["pretrained"]), Task.ENCODE)
    estimator = getattr(estimators, _ESTIMATORS[task])(**given)
    estimators.check_parameters(estimator.get_params(deep=False))
    return estimator


def load_model(path: Path, *tasks: Task) -> Any:
    """Read a model of one of these tasks; say of another one which command takes it."""
    from longspan.estimators import load

    estimator = load(path)
    task = task_of(estimator)
    if task not in tasks:
        command = _COMMANDS.get(task, task.value)
        wanted = " or ".join(_ESTIMATORS[wanted] for wanted in tasks)
        raise ModelFileError(
            f"{path} holds an {type(estimator).__name__}, and no {wanted}.\n  Use it with:  longspan {command} {path}"
        )
    return estimator


def task_of(estimator: Any) -> Task:
    """Return the task that an estimator is of."""
    return next(task for task, name in _ESTIMATORS.items() if name == type(estimator).__name__)


def fit(estimator: "Estimator", training: Examples) -> "Estimator":
    """Fit on the examples, with weights of classes that are named as text found among the labels."""
    weights = getattr(estimator, "class_weight", None)
    if isinstance(weights, Mapping):
        estimator.set_params(class_weight=_weights_by_label(weights, training))
    return estimator.fit(training.sequences, training.targets, groups=training.groups)


def _weights_by_label(weights: Mapping[Any, float], training: Examples) -> dict[Any, float]:
    labels = {str(label): label for label in set(training.flat_targets.tolist())}
    unknown = [name for name in weights if str(name) not in labels]
    if unknown:
        raise ParameterError(f"class_weight names {unknown[0]!r}, but the classes are {', '.join(sorted(labels))}.")
    return {labels[str(name)]: weight for name, weight in weights.items()}


def count_parameters(estimator: Any) -> int:
    """Return how many numbers the fitted network learned."""
    return sum(parameter.numel() for parameter in estimator.network_.parameters())


def facts_of(estimator: Any) -> dict[str, Any]:
    """Return what training came to."""
    facts = {
        "cell": estimator.cell,
        "parameters": count_parameters(estimator),
        "epochs": estimator.n_iter_,
        "best_epoch": estimator.best_epoch_,
        "stop_reason": estimator.stop_reason_,
    }
    return facts | {"temperature": estimator.temperature_} if getattr(estimator, "calibrate", False) else facts


def check_can_write(path: Path, *, besides: Iterable[str | Path]) -> None:
    """Raise before the work, not after it, where a file could not be written, or would replace what is read."""
    folder = path.parent
    if path.is_dir():
        raise IsADirectoryError(None, "is a folder; name a file in it", str(path))
    if not folder.is_dir():
        raise DataFileNotFoundError(f"there is no folder {folder} to write {path.name} into.")
    if not os.access(folder, os.W_OK):
        raise PermissionError(None, "may not be written to", str(folder))
    if not path.exists():
        return
    for source in besides:
        # Path.glob takes no absolute pattern.
        files = [source] if Path(source).exists() else glob(str(source), recursive=True)  # noqa: PTH207
        if any(path.samefile(file) for file in files):
            raise ParameterError(f"{path} is read too, as {source}: the result would replace it.")
