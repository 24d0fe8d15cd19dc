"""What is measured: a network in evaluation mode, a copy of the caller's, with its recurrent layers at hand."""

from __future__ import annotations

import math
from copy import deepcopy
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.utils.validation import check_is_fitted
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence

from longspan.errors import ParameterError, ShapeError, TargetError
from longspan.estimators import LSTMClassifier, LSTMDecoder, LSTMEncoder, LSTMForecaster, LSTMRegressor
from longspan.estimators._inputs import read_labels, read_numbers
from longspan.nn import GRU, LSTM, RNN, FeedForward
from longspan.nn._recurrent import Recurrent
from longspan.sequences import Sequences, as_sequences
from longspan.tasks import SequenceNetwork

TASKS = {LSTMClassifier: "classify", LSTMRegressor: "regress", LSTMEncoder: "encode"}


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
        "classify", "regress", "encode", or "" for a bare network.
    per_step : bool
        Whether each step has a target; a bare recurrent module is looked at the ends of sequences.
    """

    network: torch.nn.Module
    estimator: Any
    task: str
    per_step: bool

    @classmethod
    def of(cls, model: Any) -> Subject:
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
        if isinstance(model, Subject):
            return model
        task = next((name for kind, name in TASKS.items() if isinstance(model, kind)), "")
        if task:
            check_is_fitted(model, "network_")
        source = model._sequence_network(model.network_) if task else model
        if isinstance(source, torch.nn.RNNBase):
            source = from_torch(source)
        if not isinstance(source, SequenceNetwork | Recurrent | FeedForward):
            raise ParameterError(
                f"memory cannot be measured of a {type(model).__name__}.\n{_why_not(model)}"
                f"  Pass a fitted LSTMClassifier, LSTMRegressor or LSTMEncoder, a network of longspan.tasks, or a\n"
                f"  recurrent module of longspan.nn or torch.nn."
            )
        network = deepcopy(source).eval().requires_grad_(False)
        per_step = isinstance(network, SequenceNetwork) and network.config.pooling is None
        return cls(network, model if task else None, task, per_step)

    @property
    def cell(self) -> Recurrent | FeedForward:
        """What runs over the steps."""
        cell: Any = self.network.cell if isinstance(self.network, SequenceNetwork) else self.network
        return cast(Recurrent | FeedForward, cell)

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
        return 1 if config is None else math.prod(config.stem_strides)

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
            sequences: Sequences = self.estimator._read_X(X)
            return sequences
        sequences = as_sequences(X)
        wanted = self.network.config.input_size if isinstance(self.network, SequenceNetwork) else self.cell.input_size
        if sequences.n_features != wanted:
            raise ShapeError(
                f"the sequences have {sequences.n_features} features, but the network takes {wanted}.\n"
                f"  They were read as {sequences}."
            )
        return sequences

    def read_targets(self, y: Any, sequences: Sequences) -> Targets | None:
        """Read the targets as the task computes with them."""
        if y is None:
            return None
        if self.task == "classify":
            codes = self.estimator._encode(read_labels(y, sequences, per_step=self.per_step)).values
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

    def run(self, inputs: PackedSequence, at: NDArray[np.int64]) -> Tensor:
        """Return one output a packed sequence, shape (B, K): of a network that gives one a step, that of step `at`."""
        given = self.network(inputs)
        if not isinstance(given, Tensor | PackedSequence):
            given = given[0]
        rows: Tensor = given.data if isinstance(given, PackedSequence) else given
        if isinstance(self.network, SequenceNetwork) and not self.per_step:
            return rows
        offsets = inputs.batch_sizes.cumsum(0) - inputs.batch_sizes
        index = offsets[torch.from_numpy(at)] + torch.arange(len(at))
        return rows.index_select(0, index.to(rows.device))


def _why_not(model: Any) -> str:
    """Say of the other estimators what to do instead."""
    if isinstance(model, LSTMForecaster):
        return (
            "  A forecaster sees the steps of its context and nothing older; whether that is enough, a backtest with\n"
            "  another context_length says.\n"
        )
    if isinstance(model, LSTMDecoder):
        return (
            "  A decoder reads one sequence and writes another, and its attention looks at all of the first at once.\n"
        )
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
