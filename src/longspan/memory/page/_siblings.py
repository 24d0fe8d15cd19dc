"""Reference curves: the gradient by lag of untrained networks of the same make, one for each kind of cell."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import torch

from longspan.memory.curves import LagCurve
from longspan.memory.gradients import gradient_by_lag
from longspan.memory.page._explorer import network_of
from longspan.memory.report import MemoryReport
from longspan.tasks import SequenceNetwork

CELLS = {"lstm": "LSTM", "gru": "GRU", "rnn": "RNN"}

_MOST, _FEWEST = 96, 4
_WORK = 4_000_000_000
"""Outputs that are followed back: at most, at least, and as many as cost about so many multiplications."""

_LONGEST = 600
"""Steps of the cell over which they are followed; before training, little reaches further."""


def untrained_siblings(report: MemoryReport, *, seed: int = 0) -> list[tuple[str, LagCurve]]:
    """Return G(k) of an LSTM, a GRU and an RNN before training, with the size, stem and scales of the report's network.

    Of its own kind of cell it is the curve that the report has, since that one was drawn as the estimator draws it.
    They are measured on the report's examples; without any, or where the estimator has another kind of network, there
    is no curve.
    """
    network = network_of(report.estimator)
    if network is None or not report.examples:
        return []
    reach = _LONGEST * math.prod(network.config.stem_strides)
    values = [example.values[-reach:] for example in report.examples]
    own = report.curves.gradient_at_init
    weights = sum(parameter.numel() for parameter in network.parameters())
    n_anchors = min(_MOST, max(_FEWEST, _WORK // (weights * max(map(len, values)))))
    return [
        (cell, own)
        if own is not None and cell == network.config.cell
        else (cell, gradient_by_lag(_untrained(network, cell, seed), values, n_anchors=n_anchors, random_state=seed))
        for cell in CELLS
    ]


def _untrained(network: SequenceNetwork, cell: str, seed: int) -> SequenceNetwork:
    """Return a network of the same make with another cell, new weights and the same view of the input."""
    ours: dict[str, Any] = {"cell": cell, "cell_options": {}, "init": "forget_bias", "max_lag": None}
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        sibling = SequenceNetwork(replace(network.config, zero_head=False, **ours))
    sibling.views.load_state_dict(network.views.state_dict())
    reference: Any = next(network.parameters())
    return sibling.to(reference).eval()
