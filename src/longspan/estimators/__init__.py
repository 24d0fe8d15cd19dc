"""scikit-learn estimators over tasks and training, and `load` for the files that they save."""

from os import PathLike
from typing import Any

from longspan.estimators._parameters import check_parameters
from longspan.estimators._persistence import load_estimator
from longspan.estimators.classifier import LSTMClassifier
from longspan.estimators.decoder import LSTMDecoder
from longspan.estimators.encoder import LSTMEncoder
from longspan.estimators.forecaster import LSTMForecaster
from longspan.estimators.regressor import LSTMRegressor

__all__ = [
    "LSTMClassifier",
    "LSTMDecoder",
    "LSTMEncoder",
    "LSTMForecaster",
    "LSTMRegressor",
    "check_parameters",
    "load",
]

_CLASSES: dict[str, type] = {
    cls.__name__: cls for cls in (LSTMClassifier, LSTMDecoder, LSTMEncoder, LSTMForecaster, LSTMRegressor)
}


def load(path: str | PathLike[str]) -> Any:
    """Read a fitted estimator from a file that its `save` wrote.

    Parameters
    ----------
    path : str or path
        The file.

    Returns
    -------
    estimator
        Of the class that was saved, with the same parameters, giving the same predictions.

    Raises
    ------
    DataFileNotFoundError
        If there is no such file.
    ModelFileError
        If the file is not a longspan model, was damaged, or was written by a newer longspan. No code from the file is
        ever run.

    Examples
    --------
    >>> import numpy as np, tempfile, pathlib
    >>> from longspan import LSTMClassifier, load
    >>> X, y = np.random.default_rng(0).normal(size=(20, 5, 1)), np.arange(20) % 2
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "coin.longspan"
    >>> classifier = LSTMClassifier(hidden_size=4, max_epochs=1, random_state=0).fit(X, y)
    >>> classifier.save(path)
    >>> bool((load(path).predict_proba(X) == classifier.predict_proba(X)).all())
    True
    """
    return load_estimator(path, _CLASSES)
