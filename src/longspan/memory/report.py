"""The memory report: what was measured, in one record.

The contract, on which the picture, the terminal and the page are built:

- Spans are numbers of steps of the data, as floats, or None where the network has no such thing (a gate span without
  gates) or it could not be known (a needed span without targets). A span whose name is in `MemoryReport.at_least` is a
  lower bound: no lag in the data was long enough to see its end.
- `intervals` has a pair (low, high) for some of the spans: quartiles over anchors for ``gradient_span`` and
  ``gradient_span_at_init``, quartiles over units for ``gate_span``, a bootstrap interval of 95% for ``used_span`` and,
  where it was estimated, the neighbouring windows of ``needed_span``. A high end may be infinite.
- `curves` is a `longspan.memory.curves.Curves`; a curve that makes no sense for the network is None.
- `verdict` is one of `longspan.memory.verdict.VERDICTS`; `advice` is what it means here, with the numbers, in words.
- `facts` says what was looked at, in plain values: ``estimator``, ``task`` ("classify", "regress", "encode", "decode",
  "forecast"; "" for a bare network), ``cell``, ``hidden_size``, ``num_layers``, ``bidirectional``, ``pooling`` (None:
  each step has an output), ``stride`` (steps of the data to a step of the cell), ``parameters``, ``n_sequences``,
  ``shortest``, ``longest``, ``n_features``, ``feature_names`` (or None), ``n_anchors``, ``loss`` (of the network on the
  anchors), ``unit`` (what that loss is), ``measured`` (which states the gradient is measured at), ``needed_source``
  ("given", "window models", "network" or None), ``device``, ``seconds``.
- `estimator` is the fitted estimator and `examples` a few of the sequences it was measured on, for pictures that walk
  through them. Both stay out of `to_dict`, which has everything else as plain JSON: numbers, text, lists, dicts, None.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from longspan.memory.curves import Curves, plain

SPANS = ("gradient_span_at_init", "gradient_span", "gate_span", "used_span", "needed_span")


@dataclass(frozen=True)
class Example:
    """A sequence that was measured on.

    Attributes
    ----------
    values : ndarray of float32, shape (T, I)
        Its steps, as the network reads them: with the channels that mark missing values, where it has those.
    target : object
        Its target, or the targets of its steps, shape (T,) or (T, K); None where there are none.
    number : int
        Its place in the data that were passed.
    """

    values: NDArray[np.float32]
    target: Any
    number: int


@dataclass(frozen=True, kw_only=True, repr=False)
class MemoryReport:
    """How far back a network can learn, how far it remembers, and how far it should.

    Attributes
    ----------
    gradient_span_at_init, gradient_span : float or None
        First lag at which the gradient that reaches the state is below a hundredth of what it is at lag 0, for a
        network that was drawn anew, and for the trained one; None where no output changes with what is carried.
    gate_span : float or None
        Median time constant of the units' forget gates.
    used_span : float or None
        Shortest context with which nothing is lost.
    needed_span : float or None
        How far back inputs matter for the targets: given, or a lower bound that was estimated.
    training_window : int or None
        Steps that training sees together; None for whole sequences.
    intervals : dict of str to (float, float)
        Around the spans, by their names.
    at_least : tuple of str
        Names of spans that are lower bounds.
    curves : Curves
        All that was measured.
    verdict, advice : str
        Name of the rule that matches first, and what it means here.
    facts : dict
        What was looked at.
    estimator : estimator
        The fitted estimator.
    examples : tuple of Example
        A few of the sequences.
    """

    gradient_span_at_init: float | None
    gradient_span: float | None
    gate_span: float | None
    used_span: float | None
    needed_span: float | None
    training_window: int | None
    intervals: dict[str, tuple[float, float]]
    at_least: tuple[str, ...]
    curves: Curves
    verdict: str
    advice: str
    facts: dict[str, Any]
    estimator: Any = field(repr=False)
    examples: tuple[Example, ...] = field(repr=False, default=())

    @property
    def spans(self) -> dict[str, float | None]:
        """The five spans by their names."""
        return {name: getattr(self, name) for name in SPANS}

    def to_dict(self) -> dict[str, Any]:
        """Return everything but the estimator and the examples as plain JSON; what is infinite or NaN becomes None."""
        whole = {
            "verdict": self.verdict,
            "advice": self.advice,
            **self.spans,
            "training_window": self.training_window,
            "intervals": self.intervals,
            "at_least": self.at_least,
            "facts": self.facts,
            "curves": self.curves,
        }
        return {name: plain(value) for name, value in whole.items()}

    def to_html(self, path: str | PathLike[str]) -> Path:
        """Write the report as one page that needs neither a server nor a network; return its path."""
        from longspan.memory import page

        written: Path = page.write(self, path)
        return written

    def show(self) -> None:
        """Print the report in a terminal."""
        from longspan.memory.terminal import show

        show(self)

    def plot(self) -> Any:
        """Draw the curves with the spans marked, and return the matplotlib figure.

        Raises
        ------
        MissingDependencyError
            matplotlib is not installed.
        """
        from longspan.memory.plots import draw

        return draw(self)

    def __repr__(self) -> str:
        from longspan.memory.terminal import summary

        return summary(self)

    def _repr_html_(self) -> str:
        from longspan.memory.terminal import as_html

        return as_html(self)
