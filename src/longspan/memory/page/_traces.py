"""What the network does with one sequence: its gates and states, what it would say at each step, and why."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence

from longspan.tasks import SequenceNetwork

_WORK = 2_000_000_000
"""Multiplications for finding what a network would say at each step of one sequence, and why."""

_MOST, _FEWEST = 160, 4
"""Steps at which that is asked."""

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Cells:
    """What one layer does in one direction.

    Attributes
    ----------
    layer : int
        From 0.
    backward : bool
        Whether it reads from the end.
    fields : dict of str to ndarray, shape (T', H)
        Gates and states of every step of the cell, by the names of its trace.
    """

    layer: int
    backward: bool
    fields: dict[str, Floats]


@dataclass(frozen=True)
class Answers:
    """What a network would say if the sequence ended at a step; with an output for every step, what it says there.

    Attributes
    ----------
    steps : ndarray of int64, shape (P,)
        Steps that were asked about, the last one among them.
    outputs : ndarray, shape (P, K)
        Outputs of the head.
    influence : ndarray, shape (P, T)
        How much the answer would change with the input of each step: the norm of the gradient over the channels, each
        in units of its standard deviation; zero where an input cannot matter.
    """

    steps: NDArray[np.int64]
    outputs: Floats
    influence: Floats


def trace_cells(network: SequenceNetwork, values: NDArray[np.float32]) -> list[Cells]:
    """Return gates and states of each layer and direction over one sequence, shape (T, I); none without a state.

    Examples
    --------
    >>> from longspan.tasks import NetworkConfig
    >>> network = SequenceNetwork(NetworkConfig(input_size=2, output_size=1, hidden_size=3)).eval()
    >>> forward, backward = trace_cells(network, np.zeros((5, 2), np.float32))
    >>> sorted(forward.fields), forward.fields["c"].shape, backward.backward
    (['c', 'f', 'g', 'h', 'i', 'o'], (5, 3), True)
    """
    if network.config.cell == "feedforward":
        return []
    with torch.inference_mode():
        steps = network.views(_alone(network, values))
        found = steps if network.stem is None else network.stem(steps)
        traces = network.cell(found, trace=True)[2]
    both = 2 if network.config.bidirectional else 1
    return [
        Cells(
            layer=number // both,
            backward=number % both == 1,
            fields={name: _array(field.data) for name, field in trace._asdict().items()},
        )
        for number, trace in enumerate(traces)
    ]


def steps_to_ask(length: int, weights: int = 25_000) -> NDArray[np.int64]:
    """Return the steps at which a network is asked what it would say: all of a short sequence, some of a long one.

    Examples
    --------
    >>> steps_to_ask(3).tolist(), len(steps_to_ask(5_000)), steps_to_ask(5_000)[-1].item()
    ([0, 1, 2], 16, 4999)
    """
    count = min(length, _MOST, max(_FEWEST, _WORK // (length * weights)))
    return np.unique(np.linspace(0, length - 1, count).round().astype(np.int64))


def ask(network: SequenceNetwork, values: NDArray[np.float32], *, classes: bool, seed: int = 0) -> Answers:
    """Ask a network about one sequence, step by step.

    All steps go through it in one batch, as one sequence each that ends there, and one backward pass finds every
    influence, because sequences of a batch do not touch.

    Parameters
    ----------
    network : SequenceNetwork
        In evaluation mode.
    values : ndarray, shape (T, I)
        The sequence.
    classes : bool
        The outputs are logits: what is followed back is the one that is highest at the step, less the mean of all.
        Otherwise it is the first output, or of several a random mixture.
    seed : int
        Of that mixture.
    """
    steps = steps_to_ask(len(values), sum(parameter.numel() for parameter in network.parameters()))
    whole = network.pooling is None
    ends = np.full(len(steps), len(values) - 1) if whole else steps
    order = np.argsort(-ends, kind="stable")
    batch, rows = _endings(network, values, ends[order])
    outputs = network(batch)
    if whole:
        outputs = outputs[_places(batch.batch_sizes, steps[order])]
    followed = _follow(outputs, classes=classes, seed=seed)
    (gradient,) = torch.autograd.grad(followed.sum(), rows)
    influence = np.zeros((len(steps), len(values)))
    scale = network.views.scale.abs()
    sizes = batch.batch_sizes.numpy()
    influence[np.concatenate([order[:size] for size in sizes]), np.repeat(np.arange(len(sizes)), sizes)] = _array(
        (gradient * scale).norm(dim=-1)
    )
    answers = np.empty(tuple(outputs.shape))
    answers[order] = _array(outputs)
    return Answers(steps, answers, np.nan_to_num(influence))


def _follow(outputs: Tensor, *, classes: bool, seed: int) -> Tensor:
    if classes:
        return outputs.amax(dim=-1) - outputs.mean(dim=-1)
    weights = torch.ones(1)
    if outputs.shape[-1] > 1:
        weights = torch.randn(outputs.shape[-1], generator=torch.Generator().manual_seed(seed))
    mixed: Tensor = outputs @ (weights / weights.norm()).to(outputs)
    return mixed


def _endings(
    network: SequenceNetwork, values: NDArray[np.float32], ends: NDArray[Any]
) -> tuple[PackedSequence, Tensor]:
    """Return one sequence for each end, the longest first, packed; and its rows, of which gradients are wanted."""
    sizes = torch.as_tensor((ends[None, :] >= np.arange(ends[0] + 1)[:, None]).sum(axis=1))
    steps = torch.as_tensor(values[: len(sizes)]).to(network.head.weight)
    rows = steps.repeat_interleave(sizes.to(steps.device), dim=0).requires_grad_()
    return PackedSequence(rows, sizes), rows


def _places(batch_sizes: Tensor, steps: NDArray[np.int64]) -> Tensor:
    """Return the packed row of step ``steps[b]`` of each sequence b, where all are of one length."""
    return torch.as_tensor(steps * int(batch_sizes[0]) + np.arange(len(steps)))


def _alone(network: SequenceNetwork, values: NDArray[np.float32]) -> PackedSequence:
    return PackedSequence(torch.as_tensor(values).to(network.head.weight), torch.ones(len(values), dtype=torch.int64))


def _array(tensor: Tensor) -> Floats:
    array: Floats = tensor.detach().cpu().double().numpy()
    return array
