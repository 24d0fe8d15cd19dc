"""The network of 1997 against automatic differentiation with the error flow cut where the paper cuts it."""

import numpy as np
import pytest
import torch
from torch import Tensor

from benchmarks.hochreiter1997 import network
from benchmarks.hochreiter1997.network import Sequences, Shape, Weights, initial_weights, number_of_weights

NO_BIASES = {"biased_cells": False, "biased_gates": False, "biased_outputs": False}
ECHO = Shape(101, 101, 1, output_gates=False, recurrent=False, direct=True, plain=True, **NO_BIASES)


def test_number_of_weights_is_that_of_the_units_connections() -> None:
    assert number_of_weights(Shape(2, 1, 2, 2)) == 8 * (2 + 8 + 1) + 4 + 1  # 4 cells and 4 gates; experiment 4
    assert number_of_weights(ECHO) == 101 * 101 + 101 + 2 * 101  # from inputs and the cell to outputs, and to the cell


def outputs_of(shape: Shape, weights: list[Tensor], values: np.ndarray, *, truncated: bool) -> Tensor:
    """The paper's equations, step by step; `truncated` cuts what flows back through activations of the step before."""
    hidden, output = weights
    cells, blocks = shape.blocks * shape.size, shape.blocks
    active, s = torch.zeros(len(hidden), dtype=torch.float64), torch.zeros(cells, dtype=torch.float64)
    block = torch.arange(cells) // shape.size
    rows = []
    for x in torch.from_numpy(values).double():
        before = active.detach() if truncated else active
        net = hidden @ torch.cat([x, before, torch.ones(1, dtype=torch.float64)])
        gates = net[cells:].sigmoid()
        i, o = gates[:blocks][block], gates[blocks:][block] if shape.output_gates else 1.0
        g = net[:cells].sigmoid() if shape.plain else 4 * net[:cells].sigmoid() - 2
        s = s + i * g
        y = o * (s if shape.plain else 2 * s.sigmoid() - 1)
        active = torch.cat([y, gates])
        out = output @ torch.cat([x, y, torch.ones(1, dtype=torch.float64)])
        rows.append(out if shape.linear_outputs else out.sigmoid())
    return torch.stack(rows)


def some_sequences(shape: Shape, lengths: list[int], seed: int = 0) -> Sequences:
    rng = np.random.default_rng(seed)
    steps = sum(lengths)
    values = rng.normal(size=(steps, shape.inputs)) * (rng.random((steps, shape.inputs)) < 0.7)
    targets, scored = rng.random((steps, shape.outputs)), rng.random(steps) < 0.5
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    scored[offsets[1:] - 1] = True
    return Sequences(values.astype(np.float32), offsets, targets, scored)


def some_weights(shape: Shape, seed: int = 1) -> Weights:
    return initial_weights(shape, np.random.default_rng(seed), spread=0.8)


def expected_change(shape: Shape, weights: Weights, sequences: Sequences, *, truncated: bool) -> list[np.ndarray]:
    """Less the gradient of half the squared error, summed over the scored steps of one sequence."""
    there = network.connections(shape)
    tensors = [torch.from_numpy(part.copy()).requires_grad_() for part in weights]
    outputs = outputs_of(shape, tensors, sequences.values, truncated=truncated)
    errors = (outputs - torch.from_numpy(sequences.targets))[torch.from_numpy(sequences.scored)]
    gradients = torch.autograd.grad((errors**2).sum() / 2, tensors)
    return [-gradient.numpy() * mask for gradient, mask in zip(gradients, there, strict=True)]


SMALL = {
    "blocks of two": Shape(3, 2, 2, 2),
    "no biases": Shape(4, 3, 2, **NO_BIASES),
    "input gate alone, direct, plain": Shape(
        5, 5, 2, output_gates=False, recurrent=False, direct=True, biased_outputs=False, plain=True
    ),
    "input gate alone, recurrent": Shape(2, 1, 2, 2, output_gates=False),
    "linear outputs": Shape(3, 2, 1, 2, linear_outputs=True),
}


@pytest.mark.parametrize("truncated", [True, False], ids=["truncated", "whole"])
@pytest.mark.parametrize("shape", SMALL.values(), ids=SMALL)
def test_change_of_one_sequence_is_the_gradient(shape: Shape, truncated: bool) -> None:
    sequences, before = some_sequences(shape, [14]), some_weights(shape)
    after = Weights(*(part.copy() for part in before))
    errors = network.train(shape, after, sequences, rate=0.25, truncated=truncated)
    for old, new, expected in zip(
        before, after, expected_change(shape, before, sequences, truncated=truncated), strict=True
    ):
        np.testing.assert_allclose((new - old) / 0.25, expected, rtol=1e-9, atol=1e-12)
    outputs = outputs_of(shape, [torch.from_numpy(part) for part in before], sequences.values, truncated=True)
    off = np.abs(outputs.numpy() - sequences.targets)[sequences.scored]
    np.testing.assert_allclose(errors, [[off.max(), off.mean()]])


def test_full_gradient_is_another_one() -> None:
    shape = SMALL["blocks of two"]
    sequences, weights = some_sequences(shape, [14]), some_weights(shape)
    truncated, full = (expected_change(shape, weights, sequences, truncated=flag) for flag in (True, False))
    assert np.abs(truncated[0] - full[0]).max() > 1e-3
    np.testing.assert_allclose(truncated[1], full[1])  # weights into output units see no difference


def test_weights_change_after_each_sequence() -> None:
    shape = SMALL["blocks of two"]
    sequences, weights = some_sequences(shape, [5, 9, 1]), some_weights(shape)
    expected = Weights(*(part.copy() for part in weights))
    network.train(shape, weights, sequences, rate=0.5)
    for a, b in zip(sequences.offsets[:-1], sequences.offsets[1:], strict=True):
        one = Sequences(sequences.values[a:b], np.array([0, b - a]), sequences.targets[a:b], sequences.scored[a:b])
        for part, change in zip(expected, expected_change(shape, expected, one, truncated=True), strict=True):
            part += 0.5 * change
    np.testing.assert_allclose(weights.hidden, expected.hidden, rtol=1e-9)
    np.testing.assert_allclose(weights.output, expected.output, rtol=1e-9)


def test_weights_may_change_after_each_step() -> None:
    shape = SMALL["no biases"]
    one, weights = some_sequences(shape, [7]), some_weights(shape)
    one.scored[:] = [False, True, False, False, True, False, True]
    expected = Weights(*(part.copy() for part in weights))
    network.train(shape, weights, one, rate=0.5, each_step=True)
    change_step_by_step(shape, expected, one, rate=0.5)
    for part, wanted in zip(weights, expected, strict=True):
        np.testing.assert_allclose(part, wanted, rtol=1e-9)


def change_step_by_step(shape: Shape, weights: Weights, one: Sequences, *, rate: float) -> None:
    """Change `weights` after each scored step; the states before it were reached with the weights of their time.

    A weight at step t is its value then plus one variable that is zero, by which the error of step t is derived.
    """
    there = network.connections(shape)
    cells, blocks = shape.blocks * shape.size, shape.blocks
    block = torch.arange(cells) // shape.size
    zeros = [torch.zeros(part.shape, dtype=torch.float64, requires_grad=True) for part in weights]
    active, s = torch.zeros(shape.hidden, dtype=torch.float64), torch.zeros(cells, dtype=torch.float64)
    bias = torch.ones(1, dtype=torch.float64)
    for t, x in enumerate(torch.from_numpy(one.values).double()):
        hidden, output = (torch.from_numpy(part.copy()) + zero for part, zero in zip(weights, zeros, strict=True))
        net = hidden @ torch.cat([x, active.detach(), bias])
        i, o = (part[block] for part in net[cells:].sigmoid().split(blocks))
        s = s + i * (4 * net[:cells].sigmoid() - 2)
        y = o * (2 * s.sigmoid() - 1)
        active = torch.cat([y, net[cells:].sigmoid()])
        if one.scored[t]:
            error = (output @ torch.cat([x, y, bias])).sigmoid() - torch.from_numpy(one.targets[t])
            changes = torch.autograd.grad((error**2).sum() / 2, zeros, retain_graph=True)
            for part, change, mask in zip(weights, changes, there, strict=True):
                part -= rate * change.numpy() * mask


def test_weights_that_are_not_there_stay_zero() -> None:
    shape = ECHO
    weights = initial_weights(shape, np.random.default_rng(0), spread=0.2)
    network.train(shape, weights, some_sequences(shape, [6, 6]), rate=1.0)
    for part, there in zip(weights, network.connections(shape), strict=True):
        assert not part[there == 0].any()
        assert part[there == 1].all()


def test_evaluation_changes_nothing_and_predictions_are_the_equations() -> None:
    shape = SMALL["blocks of two"]
    sequences, weights = some_sequences(shape, [5, 9]), some_weights(shape)
    before = Weights(*(part.copy() for part in weights))
    errors = network.evaluate(shape, weights, sequences)
    outputs = network.predict(shape, weights, sequences)
    for part, old in zip(weights, before, strict=True):
        assert (part == old).all()
    for n, (a, b) in enumerate(zip(sequences.offsets[:-1], sequences.offsets[1:], strict=True)):
        tensors = [torch.from_numpy(part) for part in weights]
        np.testing.assert_allclose(outputs[a:b], outputs_of(shape, tensors, sequences.values[a:b], truncated=True))
        off = np.abs(outputs[a:b] - sequences.targets[a:b])[sequences.scored[a:b]]
        np.testing.assert_allclose(errors[n], [off.max(), off.mean()])


def test_given_biases_of_gates_replace_what_was_drawn() -> None:
    shape = Shape(2, 1, 2, 2)
    weights = initial_weights(
        shape, np.random.default_rng(0), spread=0.1, input_gate_bias=(-3, -6), output_gate_bias=(-2, -4)
    )
    np.testing.assert_array_equal(weights.hidden[4:, -1], [-3, -6, -2, -4])
    assert (np.abs(weights.hidden[:4]) <= 0.1).all()
    assert (np.abs(weights.hidden[:, :-1]) <= 0.1).all()
