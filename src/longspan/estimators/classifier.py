"""`LSTMClassifier`: a label for each sequence, or for each step."""

import warnings
from collections.abc import Mapping
from copy import copy
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Self

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.base import ClassifierMixin
from sklearn.metrics import accuracy_score
from sklearn.utils.class_weight import compute_class_weight

from longspan.data import Batches
from longspan.errors import ModelFileError, ParameterError, TargetError, TrainingWarning
from longspan.estimators._base import all_or_nothing
from longspan.estimators._calibration import HeldOut, fit_temperature
from longspan.estimators._inputs import read_class_names, read_labels, read_weights
from longspan.estimators._parameters import check_parameters, documented
from longspan.estimators._predictor import SequencePredictor
from longspan.estimators._recipe import DataShape, classifier_choices
from longspan.estimators._training_set import TargetArray, TrainingSet
from longspan.tasks import Classification, Task


@documented
@dataclass(kw_only=True, eq=False, repr=False)
class LSTMClassifier(ClassifierMixin, SequencePredictor):
    """Classify sequences, or every step of them, with an LSTM.

    Parameters
    ----------
    {parameters}
    class_weight : dict, "balanced" or None, default None
        Weight of each class; "balanced" weighs them by the inverse of how often they occur.
    label_smoothing : float or "auto", default "auto"
        Share of the probability that training asks to be spread over all classes.
    calibrate : bool, default False
        Divide the logits by a temperature that makes the probabilities honest: the one at which the labels of held-out
        sequences are likeliest. See Notes.

    Attributes
    ----------
    classes_ : ndarray, shape (C,)
        The labels, sorted.
    n_features_in_ : int
        Features of a step I; for a 2-D array, its number of columns.
    temperature_ : float
        What the logits are divided by for `predict_proba`; 1 without `calibrate`.
    network_ : longspan.tasks.SequenceNetwork
        The trained network, in evaluation mode.
    recipe_ : Recipe
        What every ``"auto"`` became.
    history_ : list of dict
        One record an epoch: losses, accuracy, learning rate, gradient norm, skipped steps, seconds.
    n_iter_, best_epoch_ : int
        Epochs trained, and the one whose weights are kept.
    stop_reason_ : str
        ``"max_epochs"``, ``"no_improvement"``, ``"interrupted"`` or ``"diverged"``.

    Notes
    -----
    Identical sequences with identical targets are merged and their weights added, so that a fit depends neither on
    the order of the sequences nor on whether a sequence was repeated or given a weight.

    With ``calibrate=True`` and up to 500 sequences, four more networks are trained, each on three quarters of the
    sequences; the temperature is fitted to what they say of the quarter that each has not seen, and the network itself
    learns from everything, as it would have without. Of more sequences a tenth, 1,000 at most, is held out.
    `validation_fraction` and `validation_folds` are obeyed where they are given. Sequences count by their
    `sample_weight`; `class_weight` does not enter, since probabilities are compared with what really occurs. A network
    that goes on with `warm_start` is calibrated on what is held out in the call that goes on, which it may have seen
    before. The page "Trust probabilities" shows what to expect.

    With `per_step` the answer at a step looks at the whole sequence, later steps too, unless ``bidirectional=False``.

    {recipe}

    Examples
    --------
    >>> import numpy as np
    >>> from longspan import LSTMClassifier
    >>> rng = np.random.default_rng(0)
    >>> X = [rng.normal(size=(length, 2)) for length in rng.integers(5, 15, size=40)]
    >>> y = np.where([x[0, 0] > 0 for x in X], "up", "down")  # decided by the very first step
    >>> classifier = LSTMClassifier(hidden_size=16, max_epochs=30, random_state=0).fit(X, y)
    >>> classifier.predict(X[:3]).shape, classifier.predict_proba(X[:3]).shape
    ((3,), (3, 2))

    References
    ----------
    Hochreiter & Schmidhuber 1997, "Long short-term memory", Neural Computation 9 (8);
    Gers, Schmidhuber & Cummins 2000, "Learning to forget", Neural Computation 12 (10);
    Guo, Pleiss, Sun & Weinberger 2017, "On calibration of modern neural networks", ICML.
    """

    class_weight: Mapping[Any, float] | str | None = None
    label_smoothing: float | str = "auto"
    calibrate: bool = False

    classes_: NDArray[Any] = field(init=False)
    class_weights_: NDArray[np.float64] | None = field(init=False)
    temperature_: float = field(init=False)

    _state: ClassVar[dict[str, type]] = SequencePredictor._state | {
        "classes_": np.ndarray,
        "class_weights_": np.ndarray,
        "temperature_": float,
    }
    _optional_state: ClassVar[frozenset[str]] = SequencePredictor._optional_state | {"class_weights_", "temperature_"}

    @all_or_nothing
    def fit(self, X: Any, y: Any, sample_weight: ArrayLike | None = None, groups: ArrayLike | None = None) -> Self:
        """Learn from sequences and their labels.

        Parameters
        ----------
        X : Sequences, array (N, T, I) or (N, T), or list of arrays (T_i, I)
            Sequences of any lengths.
        y : array (N,); with `per_step` a list of arrays (T_i,) or an array (N, T)
            Labels: strings, integers or booleans.
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
        labels = read_labels(y, sequences, per_step=self.per_step)
        weights = read_weights(sample_weight, len(sequences))
        of_labels = np.repeat(weights, sequences.lengths) if self.per_step else weights
        self._set_classes(np.unique(labels[of_labels > 0]))
        targets = self._encode(labels, unweighted=of_labels == 0)
        self.temperature_ = 1.0
        return self._fit(sequences, targets, output_size=len(self.classes_), sample_weight=sample_weight, groups=groups)

    @all_or_nothing
    def partial_fit(
        self, X: Any, y: Any, classes: ArrayLike | None = None, sample_weight: ArrayLike | None = None
    ) -> Self:
        """Make one pass over some sequences, going on from where the last call ended; nothing is calibrated.

        Parameters
        ----------
        X, y, sample_weight
            As in `fit`.
        classes : array (C,), optional
            All labels that will ever come; needed in the first call if `y` lacks some.

        Returns
        -------
        self
        """
        check_parameters(self.get_params(deep=False))
        if self.class_weight == "balanced":
            raise ParameterError(
                "class_weight='balanced' needs all labels at once, which partial_fit never sees.\n"
                "  Pass a dict of weights instead."
            )
        if self.calibrate:
            raise ParameterError(
                "calibrate=True needs sequences that the network has not learned from; partial_fit holds none out.\n"
                "  Set calibrate=False, or use fit."
            )
        first = not hasattr(self, "network_")
        sequences = self._read_X(X, reset=first)
        labels = read_labels(y, sequences, per_step=self.per_step)
        if first:
            self._set_classes(np.unique(labels if classes is None else read_class_names(classes)))
        targets = self._encode(labels)
        self.temperature_ = 1.0
        return self._partial_fit(sequences, targets, output_size=len(self.classes_), sample_weight=sample_weight)

    def predict_proba(self, X: Any) -> Any:
        """Return the probability of each class, in the order of `classes_`.

        Parameters
        ----------
        X : Sequences, array or list of arrays
            As in `fit`; lengths may be others.

        Returns
        -------
        ndarray (N, C); with `per_step` a list of arrays (T_i, C), or (N, T, C) where X was an array.
        """
        probabilities, sequences = self._outputs(X)
        return self._by_step(probabilities, X, sequences) if self._by_steps else probabilities

    def predict(self, X: Any) -> Any:
        """Return the most probable label.

        Returns
        -------
        ndarray (N,); with `per_step` a list of arrays (T_i,), or (N, T) where X was an array.
        """
        probabilities, sequences = self._outputs(X)
        labels = self.classes_[probabilities.argmax(axis=1)]
        return self._by_step(labels, X, sequences) if self._by_steps else labels

    def score(self, X: Any, y: Any, sample_weight: ArrayLike | None = None) -> float:
        """Return the share of labels (with `per_step`: of steps) predicted rightly."""
        if not self._by_steps:
            return float(super().score(X, y, sample_weight))
        probabilities, sequences = self._outputs(X)
        labels = read_labels(y, sequences, per_step=True)
        weights = np.repeat(read_weights(sample_weight, len(sequences)), sequences.lengths)
        predicted = self.classes_[probabilities.argmax(axis=1)]
        return float(accuracy_score(labels, predicted, sample_weight=weights))

    def _set_classes(self, classes: NDArray[Any]) -> None:
        if len(classes) < 2:
            raise TargetError(
                f"y holds only one class, {classes.tolist()[0]!r}: a classifier needs two or more.\n"
                f"  Pass sequences of every class that shall be told apart."
            )
        if self.warm_start and hasattr(self, "network_") and not np.array_equal(classes, self.classes_):
            raise TargetError(
                f"warm_start goes on with the classes {self.classes_.tolist()}, but y holds {classes.tolist()}.\n"
                f"  Set warm_start=False to start anew."
            )
        self.classes_ = classes

    def _encode(self, labels: NDArray[Any], unweighted: NDArray[np.bool_] | None = None) -> TargetArray:
        """Number the labels as `classes_` does; labels of weight zero may be any."""
        if (labels.dtype.kind in "OUS") == (self.classes_.dtype.kind in "OUS"):
            places = np.searchsorted(self.classes_, labels).clip(max=len(self.classes_) - 1)
            unseen = self.classes_[places] != labels
        else:  # text where there were numbers, or the other way round
            places = np.zeros(len(labels), np.int64)
            unseen = np.ones(len(labels), np.bool_)
        if unweighted is not None:
            unseen &= ~unweighted
        if unseen.any():
            raise TargetError(
                f"y holds labels that were not there at first: {np.unique(labels[unseen])[:10].tolist()}.\n"
                f"  The classes are {self.classes_.tolist()}; name all of them with classes= in the first call."
            )
        return TargetArray(places.astype(np.int64), self.per_step)

    def _prepare(self, training_set: TrainingSet, *, goes_on: bool) -> TrainingSet:
        """Work out the weight of each class, in the order of `classes_`."""
        self.class_weights_ = None
        if self.class_weight is not None:
            self._check_class_weight()
            everything = np.concatenate([training_set.kept, training_set.held])
            codes, weights = training_set.targets_of(everything)
            try:
                self.class_weights_ = compute_class_weight(
                    self.class_weight, classes=self.classes_, y=self.classes_[codes], sample_weight=weights
                )
            except ValueError as error:
                raise ParameterError(f"class_weight does not go with the classes: {error}") from error
        return training_set

    def _check_class_weight(self) -> None:
        if isinstance(self.class_weight, Mapping):
            unknown = [label for label in self.class_weight if label not in self.classes_.tolist()]
            if unknown:
                raise ParameterError(
                    f"class_weight names {unknown}, which y does not hold. The classes are {self.classes_.tolist()}."
                )

    def _choices(self, shape: DataShape) -> dict[str, Any]:
        return classifier_choices(shape, calibrate=self.calibrate, by_folds=self.validation_folds != 0)

    def _make_task(self) -> Task:
        weights = None
        if self.class_weights_ is not None:
            device = next(self.network_.parameters()).device
            weights = torch.tensor(self.class_weights_, dtype=torch.float32, device=device)
        return Classification(
            self.network_,
            class_weight=weights,
            label_smoothing=self.recipe_.label_smoothing,
            temperature=self.temperature_,
        )

    # Calibrating -----------------------------------------------------------------------------------------------------

    def _training_batches(self, training_set: TrainingSet) -> tuple[Batches, Batches | None]:
        training, validation = super()._training_batches(training_set)
        # Networks that are trained to calibrate another one keep the last epoch, as that one does.
        return training, None if self.recipe_.calibration_folds else validation

    def _look_at_held(self, part: TrainingSet) -> HeldOut | None:
        if not self.calibrate or not len(part.held):
            return None
        # Weights average one over what was learned from; here a sequence counts the same in each fold.
        _, batches = super()._training_batches(replace(part, weights=part.weights / part.weights.mean()))
        known = np.bincount(part.targets_of(part.kept)[0], minlength=len(self.classes_)) > 0
        return None if batches is None else HeldOut.of(self.network_, batches).of_classes(known)

    def _finish(self, everything: TrainingSet, seen: list[HeldOut | None], seed: int) -> None:
        if self.recipe_.calibration_folds:
            seen = self._cross_fit(everything, seed)
        held = [part for part in seen if part is not None]
        if not held:
            return
        answers = HeldOut.pooled(held)
        if not len(answers.labels):
            raise TargetError(
                "calibrate=True found nothing to learn from: no sequence that was held out has a label that those "
                "learned from have.\n"
                "  Pass sequences of each class in more than one group, or set calibrate=False."
            )
        self.temperature_ = fit_temperature(answers)

    def _cross_fit(self, everything: TrainingSet, seed: int) -> list[HeldOut | None]:
        """Return what networks trained like this one, each on some folds, say of the fold that they have not seen."""
        seen: list[HeldOut | None] = []
        if self.stop_reason_ == "interrupted":
            return seen
        folds = everything.folds(self.recipe_.calibration_folds, stratify=self._stratify(everything.targets), seed=seed)
        for number, fold in enumerate(folds, start=1):
            other = copy(self)
            try:
                other._train(fold, seed, title=f", to calibrate, fold {number} of {len(folds)}")
            except KeyboardInterrupt:
                other.stop_reason_ = "interrupted"
            if other.stop_reason_ == "interrupted":
                self.stop_reason_ = "interrupted"
                warnings.warn(
                    "calibration was interrupted: the network has learned from everything, and temperature_ is 1.",
                    TrainingWarning,
                    stacklevel=6,  # the line that called `fit`
                )
                return []
            seen.append(other._look_at_held(fold))
        return seen

    # What a model file is checked for ---------------------------------------------------------------------------------

    def _check_state(self) -> None:
        super()._check_state()
        size = self.network_.config.output_size
        for array in (self.classes_, self.class_weights_):
            if array is not None and array.shape != (size,):
                raise ModelFileError(f"the network has {size} outputs, but there are {array.shape} classes or weights.")
        if not np.array_equal(np.unique(self.classes_), self.classes_):  # labels are looked up by bisection
            raise ModelFileError("the classes are not in order, or one of them is there twice.")
        weights = self.class_weights_
        if weights is not None and not (
            weights.dtype.kind == "f" and bool(np.isfinite(weights).all() and min(weights) >= 0)
        ):
            raise ModelFileError("the weights of the classes are not finite numbers from 0.")
        self.temperature_ = getattr(self, "temperature_", 1.0)  # files of before there was one have none
        if not 0 < self.temperature_ < np.inf:
            raise ModelFileError(f"temperature_ is {self.temperature_!r}, but it is divided by: a number above 0.")

    def _stratify(self, targets: TargetArray) -> NDArray[Any] | None:
        return None if targets.per_step else targets.values
