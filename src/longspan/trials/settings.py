"""How a network is made and trained in a trial."""

from __future__ import annotations

from dataclasses import dataclass, field
from numbers import Real
from typing import Any

from longspan.errors import ParameterError
from longspan.problems import Problem
from longspan.problems.problem import check_at_least
from longspan.tasks import CELLS, NetworkConfig, check_cell_options

INITS = ("auto", "torch", "forget_bias", "chrono")


@dataclass(frozen=True)
class TrialSettings:
    """How a network is made and trained in a trial.

    The gradient goes back to the first step, Adam takes steps at a level learning rate, and gradients are clipped by
    their global norm.

    Attributes
    ----------
    cell : {"lstm", "rnn", "gru", "feedforward"}
        What runs over the steps, one way: from the past to the present.
    hidden_size, num_layers : int
        Its size.
    init : {"auto", "torch", "forget_bias", "chrono"}
        Initialiser of an LSTM: "auto" is "chrono". Other cells have torch's.
    max_lag : int, optional
        Longest lag, in steps, that chrono is made for: that of the problem by default. A longer one opens the forget
        gates further, and closes the input gates.
    cell_options : dict, optional
        Variants of the LSTM, as `longspan.nn.LSTM` takes them: ``{"layer_norm": True}``.
    window : int
        Steps that a feed-forward network sees.
    batch_size : int
        Fresh sequences in a minibatch.
    lr : float
        Learning rate.
    clip_norm : float
        Gradients of a larger norm are scaled down to it.
    limit : int
        Sequences that are learned from at most.
    check_every : int
        After so many sequences a network is tried on others.

    Raises
    ------
    ParameterError
        If one is outside what it may be.
    """

    cell: str = "lstm"
    hidden_size: int = 64
    num_layers: int = 1
    init: str = "auto"
    max_lag: int | None = None
    cell_options: dict[str, Any] | None = field(default=None, hash=False)
    window: int = 16
    batch_size: int = 16
    lr: float = 0.01
    clip_norm: float = 1.0
    limit: int = 100_000
    check_every: int = 320

    def __post_init__(self) -> None:
        for name in ("hidden_size", "num_layers", "window", "batch_size", "limit", "check_every"):
            check_at_least(name, getattr(self, name), 1)
        for name in ("lr", "clip_norm"):
            value: Any = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, Real) or not float(value) > 0:
                raise ParameterError(f"{name} is {value!r}, but it must be a positive number.")
        for name, choices in (("cell", CELLS), ("init", INITS)):
            if getattr(self, name) not in choices:
                raise ParameterError(f"{name} is one of {', '.join(choices)}, but it was {getattr(self, name)!r}.")
        if self.cell != "lstm" and self.init not in ("auto", "torch"):
            raise ParameterError(f"init={self.init!r} is for cell='lstm', but the cell is {self.cell!r}.")
        self._check_what_is_for_an_lstm()

    def _check_what_is_for_an_lstm(self) -> None:
        if self.max_lag is not None:
            check_at_least("max_lag", self.max_lag, 2)
            if self._init != "chrono":
                raise ParameterError(
                    f"max_lag={self.max_lag} is for chrono initialisation, but with cell={self.cell!r} and "
                    f"init={self.init!r} there is none."
                )
        if self.cell_options is None:
            return
        if self.cell != "lstm":
            raise ParameterError(f"cell_options are variants of the LSTM, but the cell is {self.cell!r}.")
        check_cell_options(self.cell_options)

    @property
    def _init(self) -> str:
        return {"auto": "chrono" if self.cell == "lstm" else "torch"}.get(self.init, self.init)

    def network_config(self, problem: Problem) -> NetworkConfig:
        """Return what a network for the problem is made of."""
        return NetworkConfig(
            input_size=problem.input_size,
            output_size=problem.output_size,
            cell=self.cell,
            hidden_size=self.hidden_size,
            num_layers=self.num_layers,
            bidirectional=False,
            pooling=None if problem.per_step else "last",
            window=self.window,
            init=self._init,
            max_lag=(self.max_lag or max(problem.lag, 2)) if self._init == "chrono" else None,
            cell_options=dict(self.cell_options or {}),
        )
