"""What every estimator shares: parameters, one way to train whatever network it has, and the files it is kept in."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, field, replace
from functools import wraps
from os import PathLike
from threading import RLock
from typing import Any, ClassVar, TypeVar, cast

import numpy as np
import torch
from sklearn.base import BaseEstimator
from sklearn.utils import Tags, check_random_state
from sklearn.utils.validation import check_is_fitted

from longspan.data import BatchSource
from longspan.errors import ParameterError
from longspan.estimators._persistence import save_estimator
from longspan.estimators._recipe import Recipe
from longspan.tasks import Task
from longspan.training import ProgressBar, Trainer

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


@dataclass(kw_only=True, eq=False, repr=False)
class NetworkEstimator(BaseEstimator):
    """Base of all estimators: trains a `Task`, keeps the network, saves it.

    The parameters are dataclass fields: the generated `__init__` stores them and does nothing else, and its signature
    is what scikit-learn reads. A subclass says what its network is made of, and what batches it learns from.
    """

    cell: str = "lstm"
    hidden_size: int = 64
    num_layers: int = 1
    dropout: float | str = "auto"
    init: str = "auto"
    max_lag: int | None = None
    window: int = 16
    cell_options: dict[str, Any] | None = None
    match_parameters: bool = False
    max_epochs: int | str = "auto"
    batch_size: int | str = "auto"
    lr: float | str = "auto"
    weight_decay: float = 0.01
    schedule: str = "one_cycle"
    clip_norm: float = 1.0
    validation_fraction: float | str = "auto"
    validation_split: str = "random"
    n_iter_no_change: int | str | None = "auto"
    tol: float = 0.0
    ema_decay: float = 0.98
    warm_start: bool = False
    device: str = "auto"
    random_state: int | np.random.RandomState | None = None
    verbose: int = 0

    network_: Any = field(init=False)
    recipe_: Recipe = field(init=False)

    _network_type: ClassVar[Any]
    """Made of its configuration alone, a dataclass `config_type` of plain values, which it keeps as `config`."""

    _state: ClassVar[dict[str, type]] = {
        "n_features_in_": int,
        "n_sequence_features_": int,
        "_columns_are_steps": bool,
        "feature_names_in_": np.ndarray,
        "history_": list,
        "n_iter_": int,
        "best_epoch_": int,
        "stop_reason_": str,
    }
    """What is known after fitting besides the network and the recipe, and is kept in a model file."""

    _optional_state: ClassVar[frozenset[str]] = frozenset({"feature_names_in_"})
    """What of it may be missing."""

    def _settings(self) -> dict[str, Any]:
        """Return the parameters that a recipe is made from."""
        settings: dict[str, Any] = self.get_params(deep=False)
        return settings

    def _settings_to_save(self) -> dict[str, Any]:
        """Return the parameters that a file is given."""
        return self._settings()

    def _make_task(self) -> Task:
        """Return the task that trains and reads `network_`; a subclass says which."""
        raise NotImplementedError

    def _new_network(self, training_set: Any) -> torch.nn.Module:
        """Return an untrained network as the recipe has it, with the scales of the part that is learned from."""
        raise NotImplementedError

    def _training_batches(self, training_set: Any) -> tuple[BatchSource, BatchSource | None]:
        """Return batches to learn from, and batches to validate on if something is held out."""
        raise NotImplementedError

    def _prepare(self, training_set: Any, *, goes_on: bool) -> Any:
        """Measure what the targets need, unless `goes_on`; return the set with targets as the task takes them."""
        return training_set

    # What a model file is checked for ---------------------------------------------------------------------------------

    def _kind_of_network(self) -> dict[str, tuple[Any, Any]]:
        """Return parameters that a fitted network cannot do without: as they are now, and as it was fitted."""
        return {"cell": (self._settings_to_save()["cell"], self.recipe_.network.cell)}

    def _counts_of_parts(self, config: Any) -> dict[str, int]:
        """Return how many parts, each with weights, a configuration speaks of."""
        return {"layers": config.num_layers}

    def _check_config(self, config: Any) -> None:
        """Raise `ModelFileError` for a configuration that no network can have."""

    def _check_state(self) -> None:
        """Raise `ModelFileError` where what was read from a file does not go together."""

    # Fitting ---------------------------------------------------------------------------------------------------------

    @property
    def _goes_on(self) -> bool:
        """Whether `fit` goes on with the network there is."""
        return self.warm_start and hasattr(self, "network_")

    @all_or_nothing
    def _train(self, training_set: Any, seed: int, *, goes_on: bool = False, title: str = "") -> Trainer:
        """Train a new network, or the one there is, on a part of the data."""
        training_set = self._prepare(training_set, goes_on=goes_on)
        with _seeded(seed, self._torch_device()):
            self._set_network(training_set, goes_on=goes_on)
            # A copy: what was learned before is still there if training fails.
            self.network_ = deepcopy(self.network_) if goes_on else self.network_
            trainer = self._make_trainer(seed, title)
            trainer.fit(*self._training_batches(training_set))
            self._keep_records(trainer)
        return trainer

    def _train_one_pass(self, training_set: Any, *, goes_on: bool) -> None:
        """Make one pass at a level learning rate, with the optimiser of the pass before."""
        training_set = self._prepare(training_set, goes_on=goes_on)
        if not hasattr(self, "_trainer"):
            # No last steps are known to average over.
            training = replace(self.recipe_.training, schedule="constant", ema_decay=0.0)
            self.recipe_ = replace(self.recipe_, training=training)
            self._seed = self._draw_seed()
            with _seeded(self._seed, self._torch_device()):
                self._set_network(training_set, goes_on=goes_on)
                self._trainer = self._make_trainer(self._seed)
        with _seeded(self._seed + len(self._trainer.history) + 1, self._torch_device()):
            self._trainer.partial_fit(self._training_batches(training_set)[0])
        self._keep_records(self._trainer)

    def _draw_seed(self) -> int:
        return int(check_random_state(self.random_state).randint(np.iinfo(np.int32).max))

    def _set_network(self, training_set: Any, *, goes_on: bool) -> None:
        """Make a new network, or keep the one there is."""
        if goes_on:
            self._check_same_network()
        else:
            self.network_ = self._new_network(training_set)

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

    def _keep_records(self, trainer: Trainer) -> None:
        self.history_ = trainer.history
        self.n_iter_ = len(trainer.history)
        self.best_epoch_ = trainer.best_epoch
        self.stop_reason_ = trainer.stop_reason

    def _torch_device(self) -> torch.device:
        if self.device == "auto":
            return torch.device("cuda" if torch.cuda.is_available() else "cpu")
        return torch.device(self.device)

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
