"""What is measured: a network in evaluation mode, a copy of the caller's, with its recurrent layers at hand."""

from __future__ import annotations

import math
from copy import copy, deepcopy
from dataclasses import dataclass, replace
from os import PathLike
from typing import Any, Self, cast

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.utils.validation import check_is_fitted
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence

from longspan.errors import NonFiniteError, ParameterError, ShapeError, TargetError
from longspan.estimators import LSTMClassifier, LSTMDecoder, LSTMEncoder, LSTMForecaster, LSTMRegressor
from longspan.estimators.inspection import (
    read_codes,
    read_labels,
    read_numbers,
    read_sequences,
    seeded,
    sequence_network,
)
from longspan.nn import GRU, LSTM, RNN, FeedForward
from longspan.nn._recurrent import Recurrent
from longspan.sequences import Sequences, as_sequences
from longspan.tasks import SequenceNetwork

Ints = NDArray[np.int64]

TASKS = {
    LSTMClassifier: "classify",
    LSTMRegressor: "regress",
    LSTMEncoder: "encode",
    LSTMDecoder: "decode",
    LSTMForecaster: "forecast",
}


@dataclass(frozen=True)
class Targets:
    """What should have been predicted.

    Attributes
    ----------
    values : ndarray
        Codes of classes, or standardised numbers (rows, K); one row a sequence, or one a step.
    labels : bool
        Whether they are classes.
    per_step : bool
        Whether each step has one.
    """

    values: NDArray[Any]
    labels: bool
    per_step: bool

    @property
    def unit(self) -> str:
        """What the loss of a prediction is counted in."""
        return "nats" if self.labels else "squared error"

    def losses(self, outputs: Tensor, rows: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return the loss of each output for the targets of these rows: cross-entropy, or squared error."""
        outputs = outputs.double().cpu()
        truth = torch.from_numpy(self.values[rows])
        if self.labels:
            found = torch.nn.functional.cross_entropy(outputs, truth, reduction="none")
        else:
            found = (outputs - truth).square().mean(dim=-1)
        return found.numpy()


@dataclass
class Subject:
    """A network that is looked at; see `Subject.of`.

    Attributes
    ----------
    network : Module
        Takes packed sequences. A copy in evaluation mode, whose weights need no gradient.
    estimator : estimator or None
        Where it came from.
    task : str
        "classify", "regress", "encode", "decode", "forecast", or "" for a bare network.
    per_step : bool
        Whether each step has a target; a bare recurrent module is looked at the ends of sequences.
    """

    network: torch.nn.Module
    estimator: Any
    task: str
    per_step: bool

    @staticmethod
    def of(model: Any) -> Subject:
        """Read what a person passes.

        Parameters
        ----------
        model : fitted estimator, SequenceNetwork, or recurrent module of longspan.nn or torch.nn
            Of a bare recurrent module the outputs are its hidden states.

        Raises
        ------
        ParameterError
            It is something else.
        NotFittedError
            The estimator has not been fitted.
        """
        from longspan.memory._forecasts import ForecastSubject
        from longspan.memory._pairs import PairSubject

        if isinstance(model, Subject):
            return model
        task = next((name for kind, name in TASKS.items() if isinstance(model, kind)), "")
        source: Any = model
        if task:
            check_is_fitted(model, "network_")
            source = sequence_network(model) or model.network_
        elif isinstance(model, torch.nn.RNNBase):
            source = from_torch(model)
        elif not isinstance(model, SequenceNetwork | Recurrent | FeedForward):
            raise ParameterError(
                f"memory cannot be measured of {_named(model)}.\n  Pass a fitted estimator of longspan, a network of "
                f"longspan.tasks, or a recurrent module of longspan.nn or torch.nn.{_hint(model)}"
            )
        network = deepcopy(source).eval().requires_grad_(False)
        per_step = isinstance(network, SequenceNetwork) and network.config.pooling is None
        kinds: dict[str, type[Subject]] = {"forecast": ForecastSubject, "decode": PairSubject}
        return kinds.get(task, Subject)(network, model if task else None, task, per_step or task == "decode")

    @property
    def place(self) -> tuple[Any, str]:
        """Where what runs over the steps is kept: an object, and the name of its attribute."""
        return (self.network, "cell") if isinstance(self.network, SequenceNetwork) else (self, "network")

    @property
    def cell(self) -> Recurrent | FeedForward:
        """What runs over the steps."""
        return cast(Recurrent | FeedForward, getattr(*self.place))

    def recurrent(self, purpose: str) -> Recurrent:
        """Return the recurrent layers, or say that there are none to measure."""
        if not isinstance(self.cell, Recurrent):
            raise ParameterError(
                f"{purpose} is a measure of the state that a recurrent network carries, and a feed-forward network\n"
                f"  carries none. Use input_influence, context_ablation or lag_occlusion, which look at its outputs."
            )
        return self.cell

    @property
    def stride(self) -> int:
        """Steps of the data to a step of the cell."""
        config = getattr(self.network, "config", None)
        return math.prod(getattr(config, "stem_strides", ()))

    @property
    def pools_all(self) -> bool:
        """Whether every step has a way of its own to the output."""
        pooling = self.network.config.pooling if isinstance(self.network, SequenceNetwork) else None
        return bool(pooling) and pooling != "last"

    @property
    def kind(self) -> str:
        """Kind of the cell: "lstm", "gru", "rnn" or "feedforward"."""
        kinds = {LSTM: "lstm", GRU: "gru", RNN: "rnn", FeedForward: "feedforward"}
        return next(name for kind, name in kinds.items() if isinstance(self.cell, kind))

    @property
    def chrono_lag(self) -> int | None:
        """Lag, in steps of the data, for which the gates were initialised; None if they were in another way."""
        if getattr(self.cell, "init", None) != "chrono":
            return None
        return int(self.cell.max_lag) * self.stride  # type: ignore[arg-type]

    @property
    def _parameter(self) -> Tensor:
        return next(self.network.parameters())

    @property
    def device(self) -> torch.device:
        """Where it is."""
        return self._parameter.device

    @property
    def dtype(self) -> torch.dtype:
        """Type of its weights."""
        return self._parameter.dtype

    @property
    def scale(self) -> Tensor | float:
        """Standard deviation of each channel of the input, as the network knows it; 1 of a bare module."""
        return self.network.views.scale if isinstance(self.network, SequenceNetwork) else 1.0

    def read(self, X: Any) -> Sequences:
        """Read the sequences as the network sees them."""
        if self.estimator is not None:
            return read_sequences(self.estimator, X)
        sequences = as_sequences(X)
        wanted = self.network.config.input_size if isinstance(self.network, SequenceNetwork) else self.cell.input_size
        if sequences.n_features != wanted:
            raise ShapeError(
                f"the sequences have {sequences.n_features} features, but the network takes {wanted}.\n"
                f"  They were read as {sequences}."
            )
        return sequences

    def read_both(self, X: Any, y: Any) -> tuple[Sequences, Targets | None]:
        """Read sequences and their targets, of which there may be none."""
        sequences = self.read(X)
        return sequences, self.read_targets(y, sequences)

    def read_targets(self, y: Any, sequences: Sequences) -> Targets | None:
        """Read the targets as the task computes with them."""
        if y is None:
            return None
        if self.task == "classify":
            codes = read_codes(self.estimator, y, sequences, per_step=self.per_step)
            return Targets(codes, labels=True, per_step=self.per_step)
        if self.task == "regress":
            numbers = read_numbers(y, sequences, per_step=self.per_step)
            columns = numbers.reshape(len(numbers), -1)
            if columns.shape[1] != self.estimator.n_outputs_:
                raise ShapeError(
                    f"y has {columns.shape[1]} columns, but the estimator predicts {self.estimator.n_outputs_}."
                )
            scaled = self.estimator.target_scaler_.transform(columns)
            return Targets(scaled, labels=False, per_step=self.per_step)
        if self.task == "encode":
            raise TargetError("an encoder learns no targets: leave y out.")
        return self._read_bare_targets(y, sequences)

    def _read_bare_targets(self, y: Any, sequences: Sequences) -> Targets:
        """Read targets of a bare network: whole numbers are codes of classes, others are numbers."""
        try:
            whole = np.asarray(y[0]).dtype.kind in "iu" if self.per_step else np.asarray(y).dtype.kind in "iu"
        except (TypeError, IndexError, KeyError) as error:
            raise TargetError(f"y cannot be read as targets: {error}.") from error
        if whole:
            codes = read_labels(y, sequences, per_step=self.per_step).astype(np.int64)
            return Targets(codes, labels=True, per_step=self.per_step)
        numbers = read_numbers(y, sequences, per_step=self.per_step)
        return Targets(numbers.reshape(len(numbers), -1), labels=False, per_step=self.per_step)

    @property
    def reads_backwards(self) -> bool:
        """Whether an output depends on what comes after it."""
        return bool(getattr(self.cell, "bidirectional", False))

    def answers(self, inputs: PackedSequence, at: Ints, sequence: Ints) -> Tensor:
        """Return one output a packed sequence, shape (B, K): of a network that gives one a step, that of step `at`.

        Raises
        ------
        NonFiniteError
            The network does not give out numbers.
        """
        outputs = self.run(inputs, at, sequence)
        lost = int((~torch.isfinite(outputs).all(dim=-1)).sum())
        if lost:
            raise NonFiniteError(
                f"the network gives out NaN or infinity for {lost} of the {len(outputs)} outputs that were asked for.\n"
                f"  Its training may have diverged: look at history_ and stop_reason_, and fit again with a lower "
                f"learning rate."
            )
        return outputs

    def run(self, inputs: PackedSequence, at: Ints, sequence: Ints) -> Tensor:
        """Run the network over the steps of some of the sequences; see `answers`."""
        given = self.network(inputs)
        if not isinstance(given, Tensor | PackedSequence):
            given = given[0]
        rows: Tensor = given.data if isinstance(given, PackedSequence) else given
        if isinstance(self.network, SequenceNetwork) and not self.per_step:
            return rows
        offsets = inputs.batch_sizes.cumsum(0) - inputs.batch_sizes
        index = offsets[torch.from_numpy(at)] + torch.arange(len(at))
        return rows.index_select(0, index.to(rows.device))

    # What networks of some kinds do in another way --------------------------------------------------------------------

    @property
    def ends_anywhere(self) -> bool:
        """Whether it can be asked after any step, and not only where its sequences end."""
        return True

    @property
    def has_input_gradient(self) -> bool:
        """Whether its inputs are numbers by which an output can be differentiated."""
        return True

    @property
    def attends(self) -> bool:
        """Whether its output looks at all steps of a source at once, whatever is carried."""
        return False

    @property
    def is_one_stream(self) -> bool:
        """Whether all that it reads goes step by step into the cell that is looked at."""
        return True

    def has_output(self, sequences: Sequences) -> NDArray[np.bool_] | None:
        """Return at which steps there is something to predict; None for all of them."""
        return None

    def fronts(self, sequences: Sequences) -> Ints:
        """Return how many steps of each sequence come before what is predicted, and are replaced by such only."""
        return np.zeros(len(sequences), np.int64)

    def groups(self, sequences: Sequences) -> Ints:
        """Return one number for sequences that have steps in common."""
        return np.arange(len(sequences))

    def as_features(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return steps as numbers that a small model can learn from."""
        return values

    def at_cell(self, at: Ints, sequence: Ints) -> tuple[Ints, Ints]:
        """Return, in the order in which the cell has the sequences, which they are, and the step of it they end at."""
        return np.arange(len(at)), at // self.stride

    def channel_names(self, X: Any, sequences: Sequences) -> list[str] | None:
        """Return names of the channels, from the data or from the columns of a list of frames."""
        names: Any = sequences.feature_names
        if names is None and isinstance(X, list | tuple) and hasattr(X[0], "columns"):
            names = X[0].columns
        gaps = isinstance(self.network, SequenceNetwork) and self.network.config.gaps
        return None if names is None else [str(name) for name in names][: sequences.n_features // (3 if gaps else 1)]

    def untrained(self, seed: int) -> Self:
        """Return the same network drawn anew, with the scales of the one there is."""
        with seeded(seed, self.device):
            fresh = self._drawn_anew()
        return self.changed(network=fresh.to(self.device, self.dtype).eval().requires_grad_(False))

    def changed(self, **attributes: Any) -> Self:
        """Return the same subject with other attributes."""
        changed = copy(self)
        vars(changed).update(attributes)
        return changed

    def _drawn_anew(self) -> torch.nn.Module:
        if isinstance(self.network, SequenceNetwork):
            # An output of zeros has no gradient; how a network begins to learn is seen once its head has moved.
            fresh = SequenceNetwork(replace(self.network.config, zero_head=False))
            fresh.views.load_state_dict(self.network.views.state_dict())
            return fresh
        copied = deepcopy(self.network)
        for module in copied.modules():
            getattr(module, "reset_parameters", lambda: None)()
        return copied


def _named(model: Any) -> str:
    """Say what was passed in place of a model."""
    if isinstance(model, type):
        return f"the class {model.__name__}"
    return f"the path {str(model)!r}" if isinstance(model, str | PathLike) else f"a {type(model).__name__}"


def _hint(model: Any) -> str:
    """Say how to get at what was meant."""
    if isinstance(model, str | PathLike):
        return f"\n  Load the file first: longspan.load({str(model)!r})."
    if isinstance(model, type):
        return "\n  Make one, and fit it."
    for name, inner in (("best_estimator_", "the estimator that the search found"), ("steps", "its last step")):
        if hasattr(model, name):
            how = "model[-1], with X as the steps before it make it" if name == "steps" else f"model.{name}"
            return f"\n  Of a {type(model).__name__} pass {inner}: {how}."
    return ""


def from_torch(module: torch.nn.RNNBase) -> Recurrent:
    """Return the module of longspan.nn that computes what one of torch.nn does."""
    sizes = (module.input_size, module.hidden_size, module.num_layers)
    common: dict[str, Any] = {
        "bias": module.bias,
        "bidirectional": module.bidirectional,
        "device": module.weight_ih_l0.device,
        "dtype": module.weight_ih_l0.dtype,
    }
    found: Recurrent
    if isinstance(module, torch.nn.LSTM):
        found = LSTM(*sizes, proj_size=module.proj_size, **common)
    elif isinstance(module, torch.nn.GRU):
        found = GRU(*sizes, **common)
    else:
        found = RNN(*sizes, nonlinearity=module.nonlinearity, **common)  # type: ignore[arg-type]
    found.load_state_dict(module.state_dict())
    return found
