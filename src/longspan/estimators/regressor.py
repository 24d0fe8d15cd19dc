"""`LSTMRegressor`: one or more numbers for each sequence, or for each step."""

from dataclasses import replace
from typing import Any, ClassVar, Self

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.base import RegressorMixin
from sklearn.metrics import r2_score
from sklearn.utils import Tags

from longspan.data import ChannelScaler
from longspan.errors import ModelFileError, ShapeError
from longspan.estimators._base import all_or_nothing
from longspan.estimators._inputs import read_numbers, read_weights
from longspan.estimators._parameters import check_parameters, documented
from longspan.estimators._predictor import SequencePredictor
from longspan.estimators._recipe import DataShape, regressor_choices
from longspan.estimators._training_set import TargetArray, TrainingSet
from longspan.tasks import Regression, Task


@documented
class LSTMRegressor(RegressorMixin, SequencePredictor):
    """Predict numbers from sequences, or from every step of them, with an LSTM.

    Parameters
    ----------
    {parameters}

    Attributes
    ----------
    n_features_in_ : int
        Features of a step I; for a 2-D array, its number of columns.
    n_outputs_ : int
        Numbers predicted at once, K.
    target_scaler_ : longspan.data.ChannelScaler
        Mean and standard deviation of the targets; the network learns standardised ones.
    network_ : longspan.tasks.SequenceNetwork
        The trained network, in evaluation mode.
    recipe_ : Recipe
        What every ``"auto"`` became.
    history_ : list of dict
        One record an epoch: losses (of standardised targets), learning rate, gradient norm, skipped steps, seconds.
    n_iter_, best_epoch_ : int
        Epochs trained, and the one whose weights are kept; 0 stands for the constant that training begins with.
    stop_reason_ : str
        ``"max_epochs"``, ``"no_improvement"``, ``"interrupted"`` or ``"diverged"``.

    Notes
    -----
    Identical sequences with identical targets are merged and their weights added, so that a fit depends neither on
    the order of the sequences nor on whether a sequence was repeated or given a weight.

    {recipe}

    Examples
    --------
    >>> import numpy as np
    >>> from longspan import LSTMRegressor
    >>> rng = np.random.default_rng(0)
    >>> X = [rng.normal(size=(length, 1)) for length in rng.integers(5, 15, size=40)]
    >>> y = [x[0, 0] + x[-1, 0] for x in X]  # the first and the last step
    >>> regressor = LSTMRegressor(hidden_size=16, max_epochs=30, random_state=0).fit(X, y)
    >>> regressor.predict(X[:3]).shape
    (3,)

    References
    ----------
    Hochreiter & Schmidhuber 1997, "Long short-term memory", Neural Computation 9 (8);
    Gers, Schmidhuber & Cummins 2000, "Learning to forget", Neural Computation 12 (10).
    """

    _state: ClassVar[dict[str, type]] = SequencePredictor._state | {
        "n_outputs_": int,
        "_targets_are_1d": bool,
        "target_scaler_": ChannelScaler,
    }

    @all_or_nothing
    def fit(self, X: Any, y: Any, sample_weight: ArrayLike | None = None, groups: ArrayLike | None = None) -> Self:
        """Learn from sequences and their numbers.

        Parameters
        ----------
        X : Sequences, array (N, T, I) or (N, T), or list of arrays (T_i, I)
            Sequences of any lengths.
        y : array (N,) or (N, K); with `per_step` a list of arrays (T_i,) or (T_i, K), or an array (N, T) or (N, T, K)
            What to predict.
        sample_weight : array (N,), optional
            Weight of each sequence; 0 leaves it out.
        groups : array (N,), optional
            Participant, machine, site...: no group is both trained and validated on.

        Returns
        -------
        self

        Raises
        ------
        ShapeError, NonFiniteError, EmptyDataError, TargetError
            If X or y cannot be learned from; the message says where and why.
        ParameterError
            If a parameter is out of range.
        """
        check_parameters(self.get_params(deep=False))
        sequences = self._read_X(X, reset=True)
        numbers = read_numbers(y, sequences, per_step=self.per_step)
        targets = self._arrange(numbers, goes_on=self.warm_start and hasattr(self, "network_"))
        return self._fit(sequences, targets, output_size=self.n_outputs_, sample_weight=sample_weight, groups=groups)

    @all_or_nothing
    def partial_fit(self, X: Any, y: Any, sample_weight: ArrayLike | None = None) -> Self:
        """Make one pass over some sequences, going on from where the last call ended.

        The scale of inputs and targets is measured in the first call.

        Parameters
        ----------
        X, y, sample_weight
            As in `fit`.

        Returns
        -------
        self
        """
        check_parameters(self.get_params(deep=False))
        first = not hasattr(self, "network_")
        sequences = self._read_X(X, reset=first)
        numbers = read_numbers(y, sequences, per_step=self.per_step)
        targets = self._arrange(numbers, goes_on=not first)
        return self._partial_fit(sequences, targets, output_size=self.n_outputs_, sample_weight=sample_weight)

    def predict(self, X: Any) -> Any:
        """Return predictions in the units of the targets.

        Returns
        -------
        ndarray (N,) or (N, K), as `y` was; with `per_step` a list of arrays (T_i,) or (T_i, K), or one array
        (N, T) or (N, T, K) where X was an array.
        """
        numbers, sequences = self._outputs(X)
        if self._targets_are_1d:
            numbers = numbers[:, 0]
        return self._by_step(numbers, X, sequences) if self._by_steps else numbers

    def score(self, X: Any, y: Any, sample_weight: ArrayLike | None = None) -> float:
        """Return the coefficient of determination R2 (with `per_step`: over all steps)."""
        if not self._by_steps:
            return float(super().score(X, y, sample_weight))
        numbers, sequences = self._outputs(X)
        truth = read_numbers(y, sequences, per_step=True)
        if truth.size != numbers.size:
            raise ShapeError(f"y has shape {truth.shape}, but the predictions of all steps have {numbers.shape}.")
        weights = np.repeat(read_weights(sample_weight, len(sequences)), sequences.lengths)
        return float(r2_score(truth.reshape(numbers.shape), numbers, sample_weight=weights))

    def _arrange(self, numbers: NDArray[np.float64], *, goes_on: bool) -> TargetArray:
        """Return the targets as columns, and remember or compare how many there are."""
        columns = numbers.reshape(len(numbers), -1)
        if not goes_on:
            self._targets_are_1d = numbers.ndim == 1
            self.n_outputs_ = columns.shape[1]
        elif columns.shape[1] != self.n_outputs_:
            raise ShapeError(f"y has {columns.shape[1]} columns, but the first targets had {self.n_outputs_}.")
        return TargetArray(columns, self.per_step)

    def _prepare(self, training_set: TrainingSet, *, goes_on: bool) -> TrainingSet:
        """Standardise the targets by mean and deviation of the part that is learned from."""
        if not goes_on:
            self.target_scaler_ = ChannelScaler.fit(*training_set.targets_of(training_set.kept))
        values = self.target_scaler_.transform(training_set.targets.values).astype(np.float32)
        return replace(training_set, targets=TargetArray(values, self.per_step))

    def _check_state(self) -> None:
        super()._check_state()
        size, shape = self.network_.config.output_size, self.target_scaler_.mean.shape
        if shape != (size,):
            raise ModelFileError(f"the network has {size} outputs, but the scale of the targets {shape}.")

    def _choices(self, shape: DataShape) -> dict[str, Any]:
        return regressor_choices(shape)

    def _make_task(self) -> Task:
        return Regression(
            self.network_,
            target_mean=torch.from_numpy(self.target_scaler_.mean),
            target_scale=torch.from_numpy(self.target_scaler_.scale),
        )

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags
