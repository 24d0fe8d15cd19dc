"""What the recurrent modules share: arguments, torch's weight names, the walk over layers and directions."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from numbers import Integral, Real
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import dropout
from torch.nn.utils.rnn import PackedSequence

from longspan.errors import DataError, ParameterError, ShapeError
from longspan.nn._layout import Layout, Lengths, read_input
from longspan.nn._stepper import Stepper, check_can_step
from longspan.ops._kernels import run_both_directions
from longspan.ops._native import PLAIN_WEIGHTS

Trace = tuple[Tensor, ...]

#: Bytes that a layer keeps for the backward pass, beside its output, before it computes them again instead.
_KEEP_AT_MOST = 1 << 30


class Recurrent(nn.Module):
    """Base of `LSTM`, `GRU` and `RNN`: a stack of recurrent layers in one or two directions.

    A subclass names its gates and says how one layer runs in one direction (`_run_layer`).
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int,
        *,
        gates: Sequence[str],
        bias: bool,
        batch_first: bool,
        dropout: float,
        bidirectional: bool,
        proj_size: int = 0,
        recompute: bool | None = None,
    ) -> None:
        super().__init__()
        for name, size in (
            ("input_size", input_size),
            ("hidden_size", hidden_size),
            ("num_layers", num_layers),
        ):
            check_positive(name, size)
        check_probability("dropout", dropout)
        if not 0 <= proj_size < hidden_size:
            raise ParameterError(
                f"proj_size is {proj_size}, but it must be 0 (no projection) or more, "
                f"and below hidden_size, {hidden_size}."
            )
        self.input_size = int(input_size)
        self.hidden_size = int(hidden_size)
        self.num_layers = int(num_layers)
        self.bias = bias
        self.batch_first = batch_first
        self.dropout = float(dropout)
        if recompute is not None:
            check_flag("recompute", recompute)
        self.bidirectional = bidirectional
        self.recompute = recompute
        self.proj_size = proj_size
        self.gates = tuple(gates)
        self._slots = tuple(
            (layer, f"_l{layer}{direction}")
            for layer in range(self.num_layers)
            for direction in ("", "_reverse")[: self.num_directions]
        )

    @property
    def num_directions(self) -> int:
        """2 when bidirectional, else 1."""
        return 2 if self.bidirectional else 1

    @property
    def output_size(self) -> int:
        """Features of the output of each step."""
        return self.num_directions * (self.proj_size or self.hidden_size)

    @property
    def mode(self) -> str:
        """Kind of the cell, by torch's name for it."""
        raise NotImplementedError

    @property
    def all_weights(self) -> list[list[Tensor]]:
        """Weights of each layer and direction, in torch's order; those of variants come last."""
        return [list(self._fields_of(suffix).values()) for _, suffix in self._slots]

    def flatten_parameters(self) -> None:
        """Do nothing: torch's method packs the weights for cuDNN, and no kernel here needs them side by side."""

    def _make_weights(self, extra: dict[str, tuple[int, ...]], **factory: Any) -> None:
        """Register the weights of all layers; `extra` are those that torch's layers do not have."""
        rows = len(self.gates) * self.hidden_size
        state = self.proj_size or self.hidden_size
        for layer, suffix in self._slots:
            shapes = {
                "weight_ih": (rows, self.output_size if layer else self.input_size),
                "weight_hh": (rows, state),
                **({"bias_ih": (rows,), "bias_hh": (rows,)} if self.bias else {}),
                **({"weight_hr": (state, self.hidden_size)} if self.proj_size else {}),
                **extra,
            }
            for name, shape in shapes.items():
                self.register_parameter(name + suffix, nn.Parameter(torch.empty(shape, **factory)))
        # The ops say w for weight and b for bias.
        self._fields = {name: name.replace("weight", "w").replace("bias", "b") for name in shapes}

    def _fields_of(self, suffix: str) -> dict[str, Tensor]:
        """Weights of one layer and direction by the names of the ops; parametrised ones too."""
        return {field: getattr(self, name + suffix) for name, field in self._fields.items()}

    def _state_sizes(self) -> tuple[int, ...]:
        """Features of each part of the state; h alone, unless a subclass carries more."""
        return (self.hidden_size,)

    def _run_layer(
        self,
        rows: Tensor,
        batch_sizes: Tensor,
        state: tuple[Tensor, ...],
        weights: Any,
        *,
        reverse: bool,
        trace: bool,
    ) -> tuple[Tensor, tuple[Tensor, ...], Trace | None]:
        raise NotImplementedError

    def _run(
        self,
        input: Tensor | PackedSequence,
        hx: tuple[Tensor, ...] | None,
        lengths: Lengths | None,
        trace: bool,
    ) -> tuple[Any, tuple[Tensor, ...], tuple[Any, ...]]:
        """Run the stack: output, final state and traces in the caller's layout."""
        rows, layout = read_input(input, lengths=lengths, batch_first=self.batch_first, features=self.input_size)
        dtype = self._check_dtype(rows)
        states = self._initial_states(hx, layout, rows, dtype)
        finals: list[tuple[Tensor, ...]] = []
        traces: list[Any] = []
        for layer, state in enumerate(states):
            rows, final, records = self._run_directions(rows, layout.batch_sizes, state, layer, trace=trace)
            finals.append(final)
            for record in records:
                fields: list[Any] = [layout.restore(field) for field in record]
                traces.append(type(record)(*fields))
            if self.dropout and self.training and layer < self.num_layers - 1:
                rows = dropout(rows, self.dropout)
        return layout.restore(rows), self._final_states(finals, layout), tuple(traces)

    def _run_directions(
        self, rows: Tensor, batch_sizes: Tensor, state: tuple[Tensor, ...], layer: int, *, trace: bool
    ) -> tuple[Tensor, tuple[Tensor, ...], list[Trace]]:
        """Run a layer in its directions; return output, final state, and a trace of each direction if asked."""
        run = partial(self._run_layer, rows, batch_sizes, trace=trace)
        weights = self._weights_to_run(f"_l{layer}")
        if not self.bidirectional:
            output, final, record = run(state, weights, reverse=False)
            return output, final, [] if record is None else [record]
        others = self._weights_to_run(f"_l{layer}_reverse")
        both = None if trace else self._run_at_once(rows, batch_sizes, state, weights, others)
        if both is not None:
            return *both, []
        first, other = by_direction(state)
        ahead, back = run(first, weights, reverse=False), run(other, others, reverse=True)
        final = tuple(map(torch.stack, zip(ahead[1], back[1], strict=True)))
        records = [record for record in (ahead[2], back[2]) if record is not None]
        return torch.cat([ahead[0], back[0]], dim=-1), final, records

    def _run_at_once(
        self, rows: Tensor, batch_sizes: Tensor, state: tuple[Tensor, ...], weights: Any, others: Any
    ) -> tuple[Tensor, tuple[Tensor, ...]] | None:
        """Run both directions of a layer in one call of a kernel, if there is one for it."""
        if not self._is_plain():
            return None
        plain = (*weights[:PLAIN_WEIGHTS], *others[:PLAIN_WEIGHTS])
        recompute = self._recomputes(rows)
        return run_both_directions(self._cell(), rows, batch_sizes, state, plain, recompute=recompute)

    def _recomputes(self, rows: Tensor) -> bool:
        """Whether a layer keeps little but its output for the backward pass; if it was not said, where it must."""
        if not torch.is_grad_enabled() or torch.compiler.is_compiling():
            return False
        if self.recompute is not None:
            return bool(self.recompute)
        blocks = len(self.gates) + 1 if len(self.gates) > 1 else 0  # a cell without gates keeps its output alone
        kept = self.num_directions * blocks * self.hidden_size * rows.shape[:-1].numel() * rows.element_size()
        return rows.device.type == "cpu" and kept > _KEEP_AT_MOST

    def _check_dtype(self, rows: Tensor) -> torch.dtype:
        """Type of the weights, and so of the state; the input must have it, but under autocast."""
        dtype: torch.dtype = self.weight_ih_l0.dtype  # type: ignore[assignment]
        if rows.dtype != dtype and not torch.is_autocast_enabled(rows.device.type):
            raise DataError(
                f"the input is {rows.dtype}, but the weights are {dtype}.\n"
                f"  Convert one of them: input.to({dtype}), or module.to({rows.dtype})."
            )
        return dtype

    def _initial_states(
        self, hx: tuple[Tensor, ...] | None, layout: Layout, rows: Tensor, dtype: torch.dtype
    ) -> list[tuple[Tensor, ...]]:
        """State of each layer before its first step, in packed order: (B, features), or (2, B, features)."""
        slots, batch, sizes = self.num_layers * self.num_directions, layout.batch_size, self._state_sizes()
        if hx is None:
            both = (2,) if self.bidirectional else ()
            zeros = {size: rows.new_zeros(*both, batch, size, dtype=dtype) for size in {*sizes}}
            return [tuple(zeros[size] for size in sizes)] * self.num_layers
        if not all(isinstance(part, Tensor) for part in hx) or len(hx) != len(sizes):
            wanted = "one tensor, h_0" if len(sizes) == 1 else "a pair of tensors, (h_0, c_0)"
            raise ParameterError(f"hx is the initial state and must be {wanted}.")
        parts = []
        for name, part, size in zip("hc", hx, sizes, strict=False):
            expected = (slots, batch, size) if layout.batched else (slots, size)
            if part.shape != expected:
                raise ShapeError(
                    f"the initial state {name}_0 has shape {tuple(part.shape)}, expected {expected}:\n"
                    f"  (layers * directions{', batch' if layout.batched else ''}, units), "
                    f"for an input of {batch} sequences; batch_first does not apply to it."
                )
            part = layout.sort(part if layout.batched else part.unsqueeze(1))
            parts.append(torch.split(part, 2) if self.bidirectional else part.unbind(0))
        return list(zip(*parts, strict=True))

    def _final_states(self, finals: list[tuple[Tensor, ...]], layout: Layout) -> tuple[Tensor, ...]:
        """State of each layer and direction at each sequence's own end, in the caller's order."""
        if len(finals) == 1:
            stacked = finals[0] if self.bidirectional else tuple(part.unsqueeze(0) for part in finals[0])
        else:
            join = torch.cat if self.bidirectional else torch.stack
            stacked = tuple(map(join, zip(*finals, strict=True)))
        if layout.unsorted_indices is not None:
            stacked = tuple(map(layout.unsort, stacked))
        return stacked if layout.batched else tuple(part.squeeze(1) for part in stacked)

    def stepper(self, streams: int = 1) -> Stepper:
        """Return these layers to be fed one step at a time, from a state of zeros.

        Parameters
        ----------
        streams : int
            Streams that are advanced together, each with a state of its own.

        Returns
        -------
        longspan.nn.Stepper

        Raises
        ------
        ParameterError
            The layers are bidirectional or of a variant, or this installation has none.
        """
        check_positive("streams", streams)
        check_can_step(self, self._why_no_stepper())
        return Stepper(self, self._cell(), int(streams))

    def _cell(self) -> str:
        """Name of the cell, as the ops know it."""
        raise NotImplementedError

    def _why_no_stepper(self) -> str | None:
        """Say which variant cannot be run step by step natively, if it is one."""
        return None

    def _is_plain(self) -> bool:
        """Whether the layers run as torch's do, without a part of a variant."""
        return self._why_no_stepper() is None

    def _weights(self, suffix: str) -> Any:
        """Weights of one layer and direction, as the ops take them."""
        raise NotImplementedError

    def _weights_to_run(self, suffix: str) -> Any:
        """Weights of one layer and direction for one run, in which some may be dropped."""
        return self._weights(suffix)

    def extra_repr(self) -> str:
        """Arguments that differ from their defaults, as torch prints them."""
        defaults = {
            "num_layers": 1,
            "bias": True,
            "batch_first": False,
            "dropout": 0.0,
            "bidirectional": False,
            "proj_size": 0,
            "recompute": None,
        }
        parts = [f"{self.input_size}, {self.hidden_size}"]
        for name, default in (defaults | self._extra_defaults()).items():
            if getattr(self, name) != default:
                parts.append(f"{name}={getattr(self, name)!r}")
        return ", ".join(parts)

    def _extra_defaults(self) -> dict[str, object]:
        """Arguments of the subclass, with their defaults."""
        return {}


def by_direction(state: tuple[Tensor, ...]) -> list[tuple[Tensor, ...]]:
    """Return the state of each direction of a layer in both, whose parts have shape (2, B, features)."""
    return list(zip(*(part.unbind(0) for part in state), strict=True))


def check_positive(name: str, value: object) -> None:
    """Refuse a size that is not a whole number above zero."""
    if isinstance(value, bool) or not isinstance(value, Integral) or value < 1:
        raise ParameterError(f"{name} is {value!r}, but it must be a whole number, 1 or more.")


def check_probability(name: str, value: object) -> None:
    """Refuse a value that is no probability."""
    if isinstance(value, bool) or not isinstance(value, Real) or not 0 <= float(value) <= 1:
        raise ParameterError(f"{name} is {value!r}, but it is a probability: it must be from 0 to 1.")


def check_share(name: str, value: object) -> None:
    """Refuse what is no probability of dropping, which leaves something."""
    if isinstance(value, bool) or not isinstance(value, Real) or not 0 <= float(value) < 1:
        raise ParameterError(f"{name} is {value!r}, but it is a share dropped: it must be from 0 to below 1.")


def check_flag(name: str, value: object) -> None:
    """Refuse what is neither True nor False, text such as "no" among it."""
    if not isinstance(value, bool | np.bool_):
        raise ParameterError(f"{name} is {value!r}, but it must be True or False.")


def check_choice(name: str, value: object, choices: Sequence[str]) -> None:
    """Refuse a value that is not among the choices."""
    if value not in choices:
        raise ParameterError(f"{name} is {value!r}, but it must be one of {', '.join(map(repr, choices))}.")
