"""What the estimators share that read whole sequences: how they see them, and how they are trained on them."""

import warnings
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.utils import Tags

from longspan.data import Batches, ChannelScaler, indicate_missing, number_groups
from longspan.errors import ModelFileError, TrainingWarning
from longspan.estimators._base import NetworkEstimator
from longspan.estimators._inputs import read_sequences
from longspan.estimators._recipe import DataShape, Recipe, choose_recipe
from longspan.estimators._training_set import TargetArray, TrainingSet
from longspan.nn import InputViews
from longspan.sequences import Sequences
from longspan.tasks import NetworkConfig, SequenceNetwork

ROWS_AT_ONCE = 1 << 16
"""Steps that go through the network together where nothing is learned: bounds memory on long recordings."""

SEQUENCES_AT_ONCE = 256

_LARGEST_STRIDE = 1 << 31

TILE = 8
"""Sequences are predicted in multiples of this, see `Batches.longest_first`."""


@dataclass(kw_only=True, eq=False, repr=False)
class SequenceEstimator(NetworkEstimator):
    """Base of the estimators whose network begins with a `SequenceNetwork`, made of what is named here."""

    bidirectional: bool = True
    pooling: str = "auto"
    views: str | tuple[str, ...] = "auto"
    input_noise: float | str = "auto"
    amplitude_noise: float | str = "auto"
    stem: str | tuple[int, ...] | None = "auto"
    missing: str = "error"
    validation_folds: int | str = "auto"

    def _choices(self, shape: DataShape) -> dict[str, Any]:
        """Return what each ``"auto"`` stands for, given the shape of the training data."""
        raise NotImplementedError

    def _stratify(self, targets: TargetArray) -> NDArray[Any] | None:
        """Return classes to hold out in proportion, if there are any."""
        return None

    # Fitting ---------------------------------------------------------------------------------------------------------

    def _read_X(self, X: Any, *, reset: bool = False) -> Sequences:
        """Read X for fitting (`reset`) or predicting."""
        # Afterwards the network decides, whatever the parameter has become: it has channels for what is missing or not.
        told = (
            self._settings()["missing"] == "indicator" if reset else self._sequence_network(self.network_).config.gaps
        )
        sequences = read_sequences(self, X, reset=reset, allow_missing=told)
        return indicate_missing(sequences) if told else sequences

    def _fit(
        self,
        sequences: Sequences,
        targets: TargetArray,
        *,
        output_size: int,
        sample_weight: ArrayLike | None,
        groups: ArrayLike | None,
    ) -> Self:
        """Train to the end."""
        goes_on = self._goes_on
        self.__dict__.pop("_trainer", None)
        numbered = None if groups is None else number_groups(groups, len(sequences))
        everything = TrainingSet.merged(sequences, targets, sample_weight=sample_weight, groups=numbered)
        self.recipe_ = self._choose_recipe(everything, output_size)
        seed = self._draw_seed()
        if self.recipe_.validation_folds and not goes_on:
            return self._fit_by_folds(everything, seed)
        fraction = self.recipe_.validation_fraction or (0.1 if self.recipe_.validation_folds else 0.0)
        training_set = everything.hold_out(
            fraction, how=self.validation_split, stratify=self._stratify(targets), seed=seed
        )
        self._train(training_set, seed, goes_on=goes_on)
        self._finish(everything, [self._look_at_held(training_set)], seed)
        return self

    def _look_at_held(self, part: TrainingSet) -> Any:
        """Return what `_finish` needs of the network that was just trained, and of what was held out from it."""
        return None

    def _finish(self, everything: TrainingSet, seen: list[Any], seed: int) -> None:
        """Learn what training does not, from what `_look_at_held` returned for each part that was held out."""

    def _fit_by_folds(self, everything: TrainingSet, seed: int) -> Self:
        """Choose the number of epochs by cross-validation, then train on everything for so many."""
        folds = everything.folds(self.recipe_.validation_folds, stratify=self._stratify(everything.targets), seed=seed)
        losses: list[list[float]] = []
        seen: list[Any] = []
        for number, fold in enumerate(folds, start=1):
            try:
                trainer = self._train(fold, seed, title=f", fold {number} of {len(folds)}")
            except KeyboardInterrupt:
                if not losses:
                    raise
                return self._interrupted_after(number - 1)
            if trainer.stop_reason == "interrupted":
                return self
            losses.append(trainer.validation_losses)
            seen.append(self._look_at_held(fold))
        epochs = min(map(len, losses))  # a fold may have stopped early
        curve = np.nan_to_num(np.mean([fold[:epochs] for fold in losses], axis=0), nan=np.inf)
        self.recipe_ = replace(self.recipe_, training=replace(self.recipe_.training, stop_after=int(curve.argmin())))
        try:
            self._train(everything, seed)
        except KeyboardInterrupt:
            return self._interrupted_after(len(folds))
        for record in self.history_:
            record["validation_loss"] = float(curve[record["epoch"]])
        self._finish(everything, seen, seed)
        return self

    def _interrupted_after(self, fold: int) -> Self:
        """Keep the network of the fold that ended last."""
        self.stop_reason_ = "interrupted"
        warnings.warn(
            f"training was interrupted; the network of fold {fold} is kept, which has not seen all sequences.",
            TrainingWarning,
            stacklevel=5,  # the line that called the estimator
        )
        return self

    def _partial_fit(
        self, sequences: Sequences, targets: TargetArray, *, output_size: int, sample_weight: ArrayLike | None
    ) -> Self:
        """Make one pass over some sequences."""
        goes_on = hasattr(self, "network_")
        training_set = TrainingSet.merged(sequences, targets, sample_weight=sample_weight, groups=None)
        if not goes_on:
            self.recipe_ = self._choose_recipe(training_set, output_size)
        self._train_one_pass(training_set, goes_on=goes_on)
        return self

    def _choose_recipe(self, training_set: TrainingSet, output_size: int) -> Recipe:
        shape = DataShape.of(training_set, output_size)
        return choose_recipe(self._settings(), shape, self._choices(shape))

    def _sequence_network(self, network: Any) -> SequenceNetwork:
        """Return the part of a network that reads the sequences."""
        raise NotImplementedError

    def _new_network(self, training_set: TrainingSet) -> torch.nn.Module:
        network: torch.nn.Module = self._network_type(self.recipe_.network).to(self._torch_device())
        self._measure_scale(self._sequence_network(network).views, training_set)
        return network

    def _measure_scale(self, views: InputViews, training_set: TrainingSet) -> None:
        kept = training_set.kept
        channels = ChannelScaler.fit_sequences(training_set.sequences, kept, training_set.weights[kept])
        views.scale_channels(channels.mean, channels.scale)
        if views.views != ("level",):
            seen = ChannelScaler.fit_chunks(self._views_in_chunks(views, training_set))
            views.scale_views(seen.mean, seen.scale)

    def _views_in_chunks(
        self, views: InputViews, training_set: TrainingSet
    ) -> Iterator[tuple[NDArray[Any], NDArray[np.float64]]]:
        """Yield what a network sees of the training part, some sequences at a time, and the weight of each step."""
        sequences, index = training_set.sequences, training_set.kept
        batches = Batches(
            sequences, index=index, batch_size=SEQUENCES_AT_ONCE, max_rows=ROWS_AT_ONCE, device=self._torch_device()
        )
        for batch in batches.longest_first():
            owners = np.searchsorted(sequences.offsets, batch.rows, side="right") - 1
            yield views.look(batch.inputs).cpu().numpy(), training_set.weights[owners]

    def _training_batches(self, training_set: TrainingSet) -> tuple[Batches, Batches | None]:
        device = self._torch_device()
        training = training_set.batches(training_set.kept, batch_size=self.recipe_.batch_size, device=device)
        if not len(training_set.held):
            return training, None
        validation = training_set.batches(training_set.held, batch_size=SEQUENCES_AT_ONCE, device=device)
        validation.max_rows = ROWS_AT_ONCE
        return training, validation

    # Using the network -----------------------------------------------------------------------------------------------

    def _reading_batches(self, sequences: Sequences, index: NDArray[np.int64] | None = None) -> Batches:
        """Return batches for the network to read, where nothing is learned."""
        self.network_.eval()
        device = next(self.network_.parameters()).device
        return Batches(sequences, index=index, batch_size=SEQUENCES_AT_ONCE, max_rows=ROWS_AT_ONCE, device=device)

    def _by_step(self, values: NDArray[Any], X: Any, sequences: Sequences) -> Any:
        """Cut values of shape (sum T_i, ...) into one array a sequence, or (N, T, ...) if X was such an array."""
        if len(getattr(X, "shape", ())) >= 2:
            return values.reshape(len(sequences), -1, *values.shape[1:])
        return np.split(values, sequences.offsets[1:-1])

    # What a model file is checked for ---------------------------------------------------------------------------------

    def _counts_of_parts(self, config: NetworkConfig) -> dict[str, int]:
        return super()._counts_of_parts(config) | {"blocks of a stem": len(config.stem_strides)}

    def _check_config(self, config: NetworkConfig) -> None:
        strides: Any = config.stem_strides
        if not isinstance(strides, tuple) or not all(type(s) is int and 1 <= s < _LARGEST_STRIDE for s in strides):
            raise ModelFileError(f"the file speaks of the strides {strides!r:.60}.")
        if config.pooling is None and any(stride > 1 for stride in strides):
            raise ModelFileError(f"each step has an output, but the strides {strides!r:.60} leave out steps.")
        if config.stem_pooling is not None and (config.pooling is None or not strides):
            raise ModelFileError("the steps of a stem are pooled, but there is no stem, or each step has an output.")

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = self.missing == "indicator"
        return tags
