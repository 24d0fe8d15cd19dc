"""The network of 1997: memory cell blocks without a forget gate, trained by the paper's truncated gradient.

A block of size S is S cells that share one input gate and one output gate. Cells and gates see the inputs and what all
cells and gates gave at the step before; output units see the cells (and the inputs, where `Shape.direct`). An error
that reaches a cell flows back along its internal state for as long as the sequence is, and along nothing else: what
cells and gates saw of the step before counts as a constant. The derivatives of the internal states with respect to the
weights can then be carried forward with them, so that a sequence of any length needs the same memory.

Equations are numbered as in the paper's appendix A.1 ("Long short-term memory", Neural Computation 9 (8), 1997).
Weights change once a sequence, by the sum of what its steps contribute, or after each step that has a target; where
only the last step has one, these are the same. With numba the functions are compiled; without it they are plain Python,
and about 100 times slower.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

try:
    from numba import njit
except ImportError:
    COMPILED = False

    def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
        """Leave a function as it is."""
        return function
else:
    COMPILED = True
    compiled = njit(cache=True, error_model="numpy")


class Shape(NamedTuple):
    """What a network is made of.

    Hidden units are ordered: the cells block by block, the input gates, the output gates.
    """

    inputs: int
    outputs: int
    blocks: int
    size: int = 1
    output_gates: bool = True
    recurrent: bool = True  # hidden units see the hidden units of the step before
    direct: bool = False  # output units see the inputs too
    biased_cells: bool = True
    biased_gates: bool = True
    biased_outputs: bool = True
    plain: bool = False  # g is the logistic function and h the identity, as in experiments 2a and 2b
    linear_outputs: bool = False  # the paper's are logistic

    @property
    def cells(self) -> int:
        """Number of memory cells."""
        return self.blocks * self.size

    @property
    def hidden(self) -> int:
        """Number of hidden units: cells and gates."""
        return self.cells + self.blocks * (2 if self.output_gates else 1)


class Weights(NamedTuple):
    """Weights, their gradient, or which of them there are.

    `hidden` has a row for each hidden unit, whose columns are the inputs, the hidden units of the step before, and the
    bias; `output` has a row for each output unit, whose columns are the inputs, the cells, and the bias.
    """

    hidden: np.ndarray
    output: np.ndarray


def connections(shape: Shape) -> Weights:
    """Return 1 for each weight that there is, 0 for the others."""
    hidden = np.ones((shape.hidden, shape.inputs + shape.hidden + 1))
    output = np.ones((shape.outputs, shape.inputs + shape.cells + 1))
    hidden[:, shape.inputs : -1] = shape.recurrent
    hidden[: shape.cells, -1] = shape.biased_cells
    hidden[shape.cells :, -1] = shape.biased_gates
    output[:, : shape.inputs] = shape.direct
    output[:, -1] = shape.biased_outputs
    return Weights(hidden, output)


def number_of_weights(shape: Shape) -> int:
    """Count the weights, biases among them."""
    return int(sum(part.sum() for part in connections(shape)))


def initial_weights(
    shape: Shape,
    rng: np.random.Generator,
    *,
    spread: float,
    input_gate_bias: tuple[float, ...] = (),
    output_gate_bias: tuple[float, ...] = (),
) -> Weights:
    """Draw weights from [-spread, spread]; biases of gates that are given replace what was drawn."""
    there = connections(shape)
    weights = Weights(*(rng.uniform(-spread, spread, part.shape) * part for part in there))
    for first, bias in ((shape.cells, input_gate_bias), (shape.cells + shape.blocks, output_gate_bias)):
        weights.hidden[first : first + len(bias), -1] = bias
    return weights


class Sequences(NamedTuple):
    """Sequences one after the other, with a target at each step.

    `values` float32 (steps, inputs), `offsets` int64 (sequences + 1,), `targets` float64 (steps, outputs), and `scored`
    bool (steps,): whether the output of a step is compared with its target. All arithmetic is in float64.
    """

    values: np.ndarray
    offsets: np.ndarray
    targets: np.ndarray
    scored: np.ndarray


class _State(NamedTuple):
    """What one step leaves to the next; nothing in it grows with the length of a sequence."""

    sources: np.ndarray  # inputs, hidden activations of the step before, 1
    net: np.ndarray  # sums that reach the hidden units
    active: np.ndarray  # activations of the hidden units
    internal: np.ndarray  # s, internal state of each cell
    squashed: np.ndarray  # g(net) of each cell
    read: np.ndarray  # h(s) of each cell
    by_cell: np.ndarray  # ds/dw for the weights into each cell
    by_gate: np.ndarray  # ds/dw for the weights into each cell's input gate
    outputs: np.ndarray
    errors: np.ndarray  # e of each output unit


def _fresh_state(shape: Shape) -> _State:
    sources = shape.inputs + shape.hidden + 1
    sizes = [sources, shape.hidden, shape.hidden, shape.cells, shape.cells, shape.cells]
    partials = np.zeros((2, shape.cells, sources))
    return _State(*map(np.zeros, sizes), *partials, np.zeros(shape.outputs), np.zeros(shape.outputs))


@compiled
def _logistic(x):
    if x < 0.0:  # so that exp does not overflow
        small = math.exp(x)
        return small / (1.0 + small)
    return 1.0 / (1.0 + math.exp(-x))


@compiled
def _reset(state):
    state.sources[:] = 0.0
    state.sources[-1] = 1.0
    state.active[:] = 0.0
    state.internal[:] = 0.0
    state.by_cell[:] = 0.0
    state.by_gate[:] = 0.0


@compiled
def _hidden_step(shape, weights, x, state):
    """Equations 6 to 9: activations of gates and cells."""
    inputs, cells, hidden = shape.inputs, shape.blocks * shape.size, len(state.active)
    state.sources[:inputs] = x
    state.sources[inputs : inputs + hidden] = state.active
    state.net[:] = 0.0
    for m in range(len(state.sources)):
        if state.sources[m] != 0.0:  # most inputs of a one-hot step are zero
            for unit in range(hidden):
                state.net[unit] += weights.hidden[unit, m] * state.sources[m]
    for gate in range(cells, hidden):
        state.active[gate] = _logistic(state.net[gate])
    for cell in range(cells):
        block = cell // shape.size
        squashed = _logistic(state.net[cell])
        state.squashed[cell] = squashed if shape.plain else 4.0 * squashed - 2.0
        state.internal[cell] += state.active[cells + block] * state.squashed[cell]
        s = state.internal[cell]
        state.read[cell] = s if shape.plain else 2.0 * _logistic(s) - 1.0
        opened = state.active[cells + shape.blocks + block] if shape.output_gates else 1.0
        state.active[cell] = opened * state.read[cell]


@compiled
def _carry_partials(shape, state):
    """Equations 25 and 27: derivatives of the internal states, one step on."""
    cells = shape.blocks * shape.size
    for cell in range(cells):
        gate = state.active[cells + cell // shape.size]
        g = state.squashed[cell]
        slope = g * (1.0 - g) if shape.plain else (2.0 + g) * (2.0 - g) / 4.0
        into_cell, into_gate = gate * slope, g * gate * (1.0 - gate)
        for m in range(len(state.sources)):
            if state.sources[m] != 0.0:
                state.by_cell[cell, m] += into_cell * state.sources[m]
                state.by_gate[cell, m] += into_gate * state.sources[m]


@compiled
def _output_step(shape, weights, state):
    """Equation 10: activations of the output units."""
    inputs, cells = shape.inputs, shape.blocks * shape.size
    for k in range(shape.outputs):
        net = weights.output[k, -1]
        for cell in range(cells):
            net += weights.output[k, inputs + cell] * state.active[cell]
        state.outputs[k] = net
    if shape.direct:
        for m in range(inputs):
            if state.sources[m] != 0.0:
                for k in range(shape.outputs):
                    state.outputs[k] += weights.output[k, m] * state.sources[m]
    if not shape.linear_outputs:
        for k in range(shape.outputs):
            state.outputs[k] = _logistic(state.outputs[k])


@compiled
def _add_of_outputs(shape, target, state, gradient):
    """Equation 19: errors of the output units, and what they add to the changes of the weights into them."""
    inputs, cells = shape.inputs, shape.blocks * shape.size
    for k in range(shape.outputs):
        y = state.outputs[k]
        slope = 1.0 if shape.linear_outputs else y * (1.0 - y)
        e = slope * (target[k] - y)
        state.errors[k] = e
        for cell in range(cells):
            gradient.output[k, inputs + cell] += e * state.active[cell]
        gradient.output[k, -1] += e
    if shape.direct:
        for m in range(inputs):
            if state.sources[m] != 0.0:
                gradient.output[:, m] += state.errors * state.sources[m]


@compiled
def _add_contribution(shape, weights, target, state, gradient):
    """Equations 19 to 28: what the error of one step adds to each weight's change."""
    _add_of_outputs(shape, target, state, gradient)
    inputs, cells = shape.inputs, shape.blocks * shape.size
    for cell in range(cells):
        arrived = 0.0
        for k in range(shape.outputs):
            arrived += weights.output[k, inputs + cell] * state.errors[k]
        _add_of_cell(shape, cell, arrived, state, gradient)


@compiled
def _add_of_cell(shape, cell, arrived, state, gradient):
    """Equations 21 to 28 for one cell, at whose output an error arrived."""
    cells = shape.blocks * shape.size
    block = cell // shape.size
    h = state.read[cell]
    opened = 1.0
    if shape.output_gates:
        unit = cells + shape.blocks + block
        opened = state.active[unit]
        e = opened * (1.0 - opened) * h * arrived
        for m in range(len(state.sources)):
            gradient.hidden[unit, m] += e * state.sources[m]
    slope = 1.0 if shape.plain else (1.0 + h) * (1.0 - h) / 2.0
    e = opened * slope * arrived
    for m in range(len(state.sources)):
        gradient.hidden[cell, m] += e * state.by_cell[cell, m]
        gradient.hidden[cells + block, m] += e * state.by_gate[cell, m]


@compiled
def _change(weights, gradient, there, rate):
    """Change the weights, and forget what was to change them."""
    for weight, sum_of_changes, mask in (
        (weights.hidden, gradient.hidden, there.hidden),
        (weights.output, gradient.output, there.output),
    ):
        weight[:] += rate * sum_of_changes * mask
        sum_of_changes[:] = 0.0


@compiled
def _one_sequence(shape, weights, there, values, targets, scored, state, gradient, rate, each_step):
    """Run one sequence, and learn from it unless `rate` is 0; return the largest and the mean absolute error."""
    _reset(state)
    largest, total, count = 0.0, 0.0, 0
    for t in range(len(values)):
        _hidden_step(shape, weights, values[t], state)
        if rate > 0.0:
            _carry_partials(shape, state)
        if not scored[t]:
            continue
        _output_step(shape, weights, state)
        for k in range(shape.outputs):
            error = abs(state.outputs[k] - targets[t, k])
            largest, total, count = max(largest, error), total + error, count + 1
        if rate > 0.0:
            _add_contribution(shape, weights, targets[t], state, gradient)
            if each_step:
                _change(weights, gradient, there, rate)
    if rate > 0.0:
        _change(weights, gradient, there, rate)
    return largest, total / max(count, 1)


@compiled
def _one_sequence_whole(shape, weights, there, values, targets, scored, state, gradient, rate):
    """Run one sequence and learn from it by the whole gradient; return the largest and the mean absolute error."""
    steps, hidden, cells = len(values), len(state.active), shape.blocks * shape.size
    sources, active = np.empty((steps, len(state.sources))), np.empty((steps, hidden))
    squashed, read = np.empty((steps, cells)), np.empty((steps, cells))
    reached = np.zeros((steps, hidden))  # errors that come from the outputs of the same step
    _reset(state)
    largest, total, count = 0.0, 0.0, 0
    for t in range(steps):
        _hidden_step(shape, weights, values[t], state)
        sources[t], active[t] = state.sources, state.active
        squashed[t], read[t] = state.squashed, state.read
        if not scored[t]:
            continue
        _output_step(shape, weights, state)
        for k in range(shape.outputs):
            error = abs(state.outputs[k] - targets[t, k])
            largest, total, count = max(largest, error), total + error, count + 1
        _add_of_outputs(shape, targets[t], state, gradient)
        for cell in range(cells):
            reached[t, cell] = (weights.output[:, shape.inputs + cell] * state.errors).sum()
    _through_time(shape, weights, sources, active, squashed, read, reached, gradient)
    _change(weights, gradient, there, rate)
    return largest, total / max(count, 1)


@compiled
def _through_time(shape, weights, sources, active, squashed, read, reached, gradient):
    """Backpropagation through time, with nothing cut off: `reached` gathers the error at each activation."""
    steps, hidden = active.shape
    inputs, cells, blocks = shape.inputs, shape.blocks * shape.size, shape.blocks
    along, net = np.zeros(cells), np.zeros(hidden)  # errors that flow along the internal states; errors at the sums
    for t in range(steps - 1, -1, -1):
        for cell in range(cells):
            block = cell // shape.size
            gate, g, h, arrived = active[t, cells + block], squashed[t, cell], read[t, cell], reached[t, cell]
            opened = 1.0
            if shape.output_gates:
                opened = active[t, cells + blocks + block]
                reached[t, cells + blocks + block] += arrived * h
            along[cell] += arrived * opened * (1.0 if shape.plain else (1.0 + h) * (1.0 - h) / 2.0)
            reached[t, cells + block] += along[cell] * g
            net[cell] = along[cell] * gate * (g * (1.0 - g) if shape.plain else (2.0 + g) * (2.0 - g) / 4.0)
        for unit in range(cells, hidden):
            net[unit] = reached[t, unit] * active[t, unit] * (1.0 - active[t, unit])
        for unit in range(hidden):
            gradient.hidden[unit] += net[unit] * sources[t]
            if t > 0:
                reached[t - 1] += net[unit] * weights.hidden[unit, inputs : inputs + hidden]


@compiled
def _train(shape, weights, there, sequences, rate, each_step, state, gradient, errors):
    for n in range(len(sequences.offsets) - 1):
        a, b = sequences.offsets[n], sequences.offsets[n + 1]
        values, targets, scored = sequences.values[a:b], sequences.targets[a:b], sequences.scored[a:b]
        errors[n, 0], errors[n, 1] = _one_sequence(
            shape, weights, there, values, targets, scored, state, gradient, rate, each_step
        )


@compiled
def _train_whole(shape, weights, there, sequences, rate, state, gradient, errors):
    for n in range(len(sequences.offsets) - 1):
        a, b = sequences.offsets[n], sequences.offsets[n + 1]
        values, targets, scored = sequences.values[a:b], sequences.targets[a:b], sequences.scored[a:b]
        errors[n, 0], errors[n, 1] = _one_sequence_whole(
            shape, weights, there, values, targets, scored, state, gradient, rate
        )


@compiled
def _predict(shape, weights, sequences, state, outputs):
    for n in range(len(sequences.offsets) - 1):
        _reset(state)
        for t in range(sequences.offsets[n], sequences.offsets[n + 1]):
            _hidden_step(shape, weights, sequences.values[t], state)
            _output_step(shape, weights, state)
            outputs[t] = state.outputs


def train(
    shape: Shape,
    weights: Weights,
    sequences: Sequences,
    rate: float,
    *,
    each_step: bool = False,
    truncated: bool = True,
    there: Weights | None = None,
) -> np.ndarray:
    """Change the weights in place, after each sequence or after each step; return the errors met on the way.

    The gradient is the paper's truncated one, or else the whole one, with which weights change after each sequence.

    The errors are (sequences, 2): the largest and the mean absolute error over outputs and scored steps. Weights for
    which `there` has 0 stay as they are; all `connections` change without it.
    """
    errors = np.empty((len(sequences.offsets) - 1, 2))
    gradient = Weights(*map(np.zeros_like, weights))
    there = connections(shape) if there is None else there
    if truncated:
        _train(shape, weights, there, sequences, float(rate), each_step, _fresh_state(shape), gradient, errors)
    else:
        _train_whole(shape, weights, there, sequences, float(rate), _fresh_state(shape), gradient, errors)
    return errors


def evaluate(shape: Shape, weights: Weights, sequences: Sequences) -> np.ndarray:
    """Return the errors, (sequences, 2) as in `train`, and learn nothing."""
    return train(shape, weights, sequences, 0.0)


def predict(shape: Shape, weights: Weights, sequences: Sequences) -> np.ndarray:
    """Return the outputs of every step, (steps, outputs)."""
    outputs = np.empty((len(sequences.values), shape.outputs))
    _predict(shape, weights, sequences, _fresh_state(shape), outputs)
    return outputs
