from typing import Any

import numpy as np
import pytest
import torch
from torch.nn.utils.rnn import pack_sequence

from longspan.memory.page._traces import ask, steps_to_ask, trace_cells
from longspan.tasks import SequenceNetwork
from tests.estimators.small import ragged
from tests.memory.page.reports import a_network


def by_autograd(network: SequenceNetwork, values: np.ndarray, step: int) -> tuple[np.ndarray, np.ndarray]:
    """The output at a step and the gradient that it has by each input, one sequence and one step at a time."""
    whole = network.pooling is None
    steps = torch.tensor(values if whole else values[: step + 1], dtype=torch.float64, requires_grad=True)
    output = network(pack_sequence([steps]))[step if whole else 0]
    (output.max() - output.mean()).backward()
    influence = np.zeros(len(values))
    influence[: len(steps)] = (steps.grad * network.views.scale).norm(dim=1).numpy()
    return output.detach().numpy(), influence


@pytest.mark.parametrize(
    "make", [{"bidirectional": False}, {"bidirectional": True}, {"stem_strides": (2, 1)}, {"pooling": None}], ids=str
)
@pytest.mark.parametrize("cell", ["lstm", "feedforward"])
def test_answers_and_influence_are_those_of_sequences_that_end_there(cell: str, make: dict[str, Any]) -> None:
    values = ragged(1)[0]
    network = a_network(cell=cell, **make)
    found = ask(network, values, classes=True)
    assert found.steps.tolist() == list(range(len(values)))
    for row, step in enumerate(found.steps):
        output, influence = by_autograd(network, values, int(step))
        np.testing.assert_allclose(found.outputs[row], output, atol=1e-12)
        np.testing.assert_allclose(found.influence[row], influence, atol=1e-12)


def test_an_answer_without_lookahead_rests_on_no_later_input() -> None:
    for make in ({"bidirectional": False, "pooling": None}, {"bidirectional": True}):
        influence = ask(a_network(**make), ragged(1)[0], classes=True).influence
        np.testing.assert_array_equal(influence, np.tril(influence))


def test_numbers_are_followed_back_along_one_direction() -> None:
    values = ragged(1)[0]
    network = a_network(output_size=3)
    found = ask(network, values, classes=False)
    assert found.outputs.shape == (len(values), 3)
    assert (found.influence[-1] > 0).all()
    np.testing.assert_array_equal(found.influence, ask(network, values, classes=False).influence)


def test_long_sequences_are_asked_at_some_steps() -> None:
    for length in (1, 160, 161, 1_000, 100_000):
        steps = steps_to_ask(length)
        assert steps[-1] == length - 1
        assert min(4, length) <= len(steps) <= 160
        assert len(np.unique(steps)) == len(steps)


def test_traces_lie_as_the_cell_runs() -> None:
    values = ragged(1)[0]
    parts = trace_cells(a_network(num_layers=2), values)
    assert [(part.layer, part.backward) for part in parts] == [(0, False), (0, True), (1, False), (1, True)]
    assert all(part.fields["f"].shape == (len(values), 3) for part in parts)
    assert trace_cells(a_network(cell="feedforward"), values) == []
