"""What every estimator shares: its parameters, one way to train, one way to run the network over data."""

import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import replace
from functools import wraps
from os import PathLike
from threading import RLock
from typing import Any, Self, TypeVar, cast

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator
from sklearn.utils import Tags, check_random_state
from sklearn.utils.validation import check_is_fitted

from longspan.data import Batches, ChannelScaler, indicate_missing, number_groups
from longspan.errors import ParameterError, TrainingWarning
from longspan.estimators._inputs import read_sequences
from longspan.estimators._persistence import save_estimator
from longspan.estimators._recipe import DataShape, Recipe, choose_recipe
from longspan.estimators._training_set import TargetArray, TrainingSet
from longspan.sequences import Sequences
from longspan.tasks import SequenceNetwork, Task
from longspan.training import ProgressBar, Trainer

_ROWS_AT_ONCE = 1 << 16
"""Steps that go through the network together where nothing is learned: bounds memory on long recordings."""

_SEQUENCES_AT_ONCE = 256

_TILE = 8
"""Sequences are predicted in multiples of this, see `Batches.longest_first`."""

_SEEDING = RLock()
"""Held while torch's generators, of which a process has one set, are seeded for a fit: fits in threads take turns."""

_M = TypeVar("_M", bound=Callable[..., Any])


def all_or_nothing(fit: _M) -> _M:
    """Leave an estimator as it was when `fit` fails: what was fitted before stays fitted, and nothing is half done."""

    @wraps(fit)
    def guarded(self: Any, *args: Any, **kwargs: Any) -> Any:
        before = dict(vars(self))
        try:
            return fit(self, *args, **kwargs)
        except BaseException:
            vars(self).clear()
            vars(self).update(before)
            raise

    return cast(_M, guarded)


class SequenceEstimator(BaseEstimator):
    """Base of the estimators: reads sequences, trains a `Task`, keeps the network."""

    network_: SequenceNetwork
    recipe_: Recipe

    def __init__(
        self,
        cell: str = "lstm",
        hidden_size: int = 64,
        num_layers: int = 1,
        bidirectional: bool = True,
        pooling: str = "auto",
        views: str | tuple[str, ...] = "auto",
        input_noise: float | str = "auto",
        amplitude_noise: float | str = "auto",
        stem: str | tuple[int, ...] | None = "auto",
        dropout: float | str = "auto",
        init: str = "auto",
        max_lag: int | None = None,
        window: int = 16,
        cell_options: dict[str, Any] | None = None,
        match_parameters: bool = False,
        per_step: bool = False,
        missing: str = "error",
        max_epochs: int | str = "auto",
        batch_size: int | str = "auto",
        lr: float | str = "auto",
        weight_decay: float = 0.01,
        schedule: str = "one_cycle",
        clip_norm: float = 1.0,
        validation_fraction: float | str = "auto",
        validation_folds: int | str = "auto",
        validation_split: str = "random",
        n_iter_no_change: int | str | None = "auto",
        tol: float = 0.0,
        ema_decay: float = 0.98,
        warm_start: bool = False,
        device: str = "auto",
        random_state: int | np.random.RandomState | None = None,
        verbose: int = 0,
    ) -> None:
        self.cell = cell
        self.hidden_size = hidden_size
        self.num_layers = num_layers
        self.bidirectional = bidirectional
        self.pooling = pooling
        self.views = views
        self.input_noise = input_noise
        self.amplitude_noise = amplitude_noise
        self.stem = stem
        self.dropout = dropout
        self.init = init
        self.max_lag = max_lag
        self.window = window
        self.cell_options = cell_options
        self.match_parameters = match_parameters
        self.per_step = per_step
        self.missing = missing
        self.max_epochs = max_epochs
        self.batch_size = batch_size
        self.lr = lr
        self.weight_decay = weight_decay
        self.schedule = schedule
        self.clip_norm = clip_norm
        self.validation_fraction = validation_fraction
        self.validation_folds = validation_folds
        self.validation_split = validation_split
        self.n_iter_no_change = n_iter_no_change
        self.tol = tol
        self.ema_decay = ema_decay
        self.warm_start = warm_start
        self.device = device
        self.random_state = random_state
        self.verbose = verbose

    def _make_task(self) -> Task:
        """Return the task that trains and reads `network_`; a subclass says which."""
        raise NotImplementedError

    def _choices(self, shape: DataShape) -> dict[str, Any]:
        """Return what each ``"auto"`` stands for, given the shape of the training data."""
        raise NotImplementedError

    def _prepare_targets(self, training_set: TrainingSet, *, goes_on: bool) -> TrainingSet:
        """Measure what the targets need, unless `goes_on`; return the set with targets as the task takes them."""
        return training_set

    def _stratify(self, targets: TargetArray) -> NDArray[Any] | None:
        """Return classes to hold out in proportion, if there are any."""
        return None

    # Fitting ---------------------------------------------------------------------------------------------------------

    def _read_X(self, X: Any, *, reset: bool = False) -> Sequences:
        """Read X for fitting (`reset`) or predicting."""
        # Afterwards the network decides, whatever the parameter has become: it has channels for what is missing or not.
        told = self.missing == "indicator" if reset else self.network_.config.gaps
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
        goes_on = self.warm_start and hasattr(self, "network_")
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
        return self

    def _fit_by_folds(self, everything: TrainingSet, seed: int) -> Self:
        """Choose the number of epochs by cross-validation, then train on everything for so many."""
        folds = everything.folds(self.recipe_.validation_folds, stratify=self._stratify(everything.targets), seed=seed)
        losses: list[list[float]] = []
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
        epochs = min(map(len, losses))  # a fold may have stopped early
        curve = np.nan_to_num(np.mean([fold[:epochs] for fold in losses], axis=0), nan=np.inf)
        self.recipe_ = replace(self.recipe_, training=replace(self.recipe_.training, stop_after=int(curve.argmin())))
        try:
            self._train(everything, seed)
        except KeyboardInterrupt:
            return self._interrupted_after(len(folds))
        for record in self.history_:
            record["validation_loss"] = float(curve[record["epoch"]])
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

    @all_or_nothing
    def _train(self, training_set: TrainingSet, seed: int, *, goes_on: bool = False, title: str = "") -> Trainer:
        """Train a new network, or the one there is, on a part of the data."""
        training_set = self._prepare_targets(training_set, goes_on=goes_on)
        with _seeded(seed, self._torch_device()):
            self._make_network(training_set, goes_on=goes_on)
            # A copy: what was learned before is still there if training fails.
            self.network_ = deepcopy(self.network_) if goes_on else self.network_
            trainer = self._make_trainer(seed, title)
            trainer.fit(*self._training_batches(training_set))
            self._keep_records(trainer)
        return trainer

    def _partial_fit(
        self, sequences: Sequences, targets: TargetArray, *, output_size: int, sample_weight: ArrayLike | None
    ) -> Self:
        """Make one pass over the data at a level learning rate, with the optimiser of the pass before."""
        goes_on = hasattr(self, "network_")
        training_set = TrainingSet.merged(sequences, targets, sample_weight=sample_weight, groups=None)
        if not goes_on:
            self.recipe_ = self._choose_recipe(training_set, output_size)
        training_set = self._prepare_targets(training_set, goes_on=goes_on)
        if not hasattr(self, "_trainer"):
            # No last steps are known to average over.
            training = replace(self.recipe_.training, schedule="constant", ema_decay=0.0)
            self.recipe_ = replace(self.recipe_, training=training)
            self._seed = self._draw_seed()
            with _seeded(self._seed, self._torch_device()):
                self._make_network(training_set, goes_on=goes_on)
                self._trainer = self._make_trainer(self._seed)
        with _seeded(self._seed + len(self._trainer.history) + 1, self._torch_device()):
            self._trainer.partial_fit(self._training_batches(training_set)[0])
        self._keep_records(self._trainer)
        return self

    def _choose_recipe(self, training_set: TrainingSet, output_size: int) -> Recipe:
        shape = DataShape.of(training_set, output_size)
        return choose_recipe(self.get_params(deep=False), shape, self._choices(shape))

    def _draw_seed(self) -> int:
        return int(check_random_state(self.random_state).randint(np.iinfo(np.int32).max))

    def _make_network(self, training_set: TrainingSet, *, goes_on: bool) -> None:
        """Make a new network and measure the scale of its inputs, or keep the one there is."""
        if goes_on:
            self._check_same_network()
            return
        kept = training_set.kept
        self.network_ = SequenceNetwork(self.recipe_.network).to(self._torch_device())
        channels = ChannelScaler.fit_sequences(training_set.sequences, kept, training_set.weights[kept])
        self.network_.views.scale_channels(channels.mean, channels.scale)
        if self.recipe_.network.views != ("level",):
            views = ChannelScaler.fit_chunks(self._views_in_chunks(training_set))
            self.network_.views.scale_views(views.mean, views.scale)

    def _views_in_chunks(self, training_set: TrainingSet) -> Iterator[tuple[NDArray[Any], NDArray[np.float64]]]:
        """Yield what the network sees of the training part, some sequences at a time, and the weight of each step."""
        sequences, index = training_set.sequences, training_set.kept
        batches = Batches(
            sequences, index=index, batch_size=_SEQUENCES_AT_ONCE, max_rows=_ROWS_AT_ONCE, device=self._torch_device()
        )
        for batch in batches.longest_first():
            owners = np.searchsorted(sequences.offsets, batch.rows, side="right") - 1
            yield self.network_.views.look(batch.inputs).cpu().numpy(), training_set.weights[owners]

    def _check_same_network(self) -> None:
        if self.network_.config != self.recipe_.network:
            raise ParameterError(
                f"warm_start goes on with the network there is, but the parameters or the data now ask for another.\n"
                f"  There is  {self.network_.config}\n"
                f"  asked for {self.recipe_.network}\n"
                f"  Set warm_start=False to start anew."
            )

    def _make_trainer(self, seed: int, title: str = "") -> Trainer:
        watchers = [ProgressBar(f"{type(self).__name__} ({self.cell}{title})")] if self.verbose else []
        return Trainer(self._make_task(), self.recipe_.training, rng=np.random.default_rng(seed), watchers=watchers)

    def _training_batches(self, training_set: TrainingSet) -> tuple[Batches, Batches | None]:
        device = self._torch_device()
        training = training_set.batches(training_set.kept, batch_size=self.recipe_.batch_size, device=device)
        if not len(training_set.held):
            return training, None
        validation = training_set.batches(training_set.held, batch_size=_SEQUENCES_AT_ONCE, device=device)
        validation.max_rows = _ROWS_AT_ONCE
        return training, validation

    def _keep_records(self, trainer: Trainer) -> None:
        self.history_ = trainer.history
        self.n_iter_ = len(trainer.history)
        self.best_epoch_ = trainer.best_epoch
        self.stop_reason_ = trainer.stop_reason

    def _torch_device(self) -> torch.device:
        if self.device == "auto":
            return torch.device("cuda" if torch.cuda.is_available() else "cpu")
        return torch.device(self.device)

    # Using the network -----------------------------------------------------------------------------------------------

    def _outputs(self, X: Any) -> tuple[NDArray[np.float64], Sequences]:
        """Run the network over X; return what the task reads, shape (N, K) or (sum T_i, K), and the sequences."""
        check_is_fitted(self, "network_")
        sequences = self._read_X(X)
        task = self._make_task()
        device = next(self.network_.parameters()).device
        batches = Batches(sequences, batch_size=_SEQUENCES_AT_ONCE, max_rows=_ROWS_AT_ONCE, device=device)
        self.network_.eval()
        outputs = np.empty((sequences.n_steps if self._by_steps else len(sequences), self.network_.config.output_size))
        with torch.inference_mode():
            for batch in batches.longest_first(tile=_TILE):
                rows = batch.rows if self._by_steps else batch.index
                outputs[rows] = task.read(self.network_(batch.inputs)).numpy()
        return outputs, sequences

    @property
    def _by_steps(self) -> bool:
        """Whether the network that was fitted gives an output for every step."""
        check_is_fitted(self, "network_")
        return self.network_.config.pooling is None

    def _by_step(self, values: NDArray[Any], X: Any, sequences: Sequences) -> Any:
        """Cut values of shape (sum T_i, ...) into one array a sequence, or (N, T, ...) if X was such an array."""
        if len(getattr(X, "shape", ())) >= 2:
            return values.reshape(len(sequences), -1, *values.shape[1:])
        return np.split(values, sequences.offsets[1:-1])

    # Saving and scikit-learn -----------------------------------------------------------------------------------------

    def save(self, path: str | PathLike[str], notes: Mapping[str, Any] | None = None) -> None:
        """Write the fitted estimator to one file, from which `longspan.load` makes the same estimator again.

        Parameters
        ----------
        path : str or path
            The file; by convention it ends in ``.longspan``. An existing file is replaced only when the new one is
            complete.
        notes : dict, optional
            Anything of plain JSON to keep in the file, such as the columns that the data came from; after `load` it is
            the attribute ``notes_``.

        Raises
        ------
        NotFittedError
            If the estimator has not been fitted.
        DataFileNotFoundError
            If there is no such folder.
        OSError
            If the file cannot be written, for example because the disk is full.
        """
        check_is_fitted(self, "network_")
        save_estimator(self, path, notes)

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.input_tags.allow_nan = self.missing == "indicator"
        tags.non_deterministic = False
        return tags


@contextmanager
def _seeded(seed: int, device: torch.device) -> Iterator[None]:
    """Seed torch's generators of the CPU and of `device`, and leave them as they were."""
    on_gpu = device.type == "cuda"
    with _SEEDING, torch.random.fork_rng([device] if on_gpu else []):
        torch.default_generator.manual_seed(seed)
        if on_gpu:
            with torch.cuda.device(device):
                torch.cuda.manual_seed(seed)
        yield
