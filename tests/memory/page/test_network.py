"""The page computes what Python computes: outputs, gates, states and answers along the way, in double precision."""

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch.nn.utils.rnn import pack_sequence

from longspan.memory.page._traces import trace_cells
from longspan.memory.page._weights import describe_network, describe_reading
from longspan.ops import LSTMState, LSTMWeights, lstm_step
from longspan.tasks import SequenceNetwork
from tests.estimators.small import ragged
from tests.memory.page.engine import Page
from tests.memory.page.reports import a_network, fitted

TOLERANCE = 1e-11


@pytest.fixture(scope="module")
def page() -> Page:
    return Page()


LOGITS = {"kind": "classes", "temperature": 1.0}


def described(network: SequenceNetwork) -> dict[str, Any]:
    # Packed as float32, as all networks are that were fitted; so the other side has to be rounded too.
    with torch.no_grad():
        for tensor in (*network.parameters(), *network.buffers()):
            tensor.copy_(tensor.float())
    return describe_network(network, LOGITS)


def in_python(network: SequenceNetwork, values: NDArray[Any]) -> NDArray[np.float64]:
    with torch.no_grad():
        found = network.double()(pack_sequence([torch.as_tensor(values, dtype=torch.float64)]))
    return np.asarray(found.numpy())


def assert_same(page: Page, network: SequenceNetwork, values: NDArray[Any]) -> None:
    found = page.run(described(network), values)
    np.testing.assert_allclose(found["outputs"], in_python(network, values).ravel(), rtol=0, atol=TOLERANCE)
    for theirs, ours in zip(found["traces"], trace_cells(network, values), strict=True):
        assert theirs.keys() == ours.fields.keys()
        for name, field in ours.fields.items():
            np.testing.assert_allclose(theirs[name], field.ravel(), rtol=0, atol=TOLERANCE, err_msg=name)


NETWORKS: dict[str, dict[str, Any]] = {
    "one direction": {"bidirectional": False},
    "both directions": {"bidirectional": True},
    "two layers": {"num_layers": 2, "bidirectional": True},
    "pooled in every way": {"pooling": "last+mean+max+attention"},
    "an output a step": {"pooling": None, "bidirectional": False},
    "an output a step, both directions": {"pooling": None},
    "views": {"views": ("level", "change", "shape")},
    "a stem": {"stem_strides": (3, 2), "stem_channels": 4, "pooling": "last+mean+max"},
    "a stem that is pooled too": {"stem_strides": (2,), "stem_channels": 4, "stem_pooling": "mean+max"},
}


@pytest.mark.parametrize("make", NETWORKS.values(), ids=NETWORKS.keys())
@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn", "feedforward"])
def test_the_page_computes_the_network(page: Page, cell: str, make: dict[str, Any]) -> None:
    network = a_network(cell=cell, **make)
    for values in ragged(2):
        assert_same(page, network, values)


@pytest.mark.parametrize(
    "options",
    [
        {"coupled": True},
        {"peephole": True},
        {"coupled": True, "peephole": True},
        {"layer_norm": True},
        {"zoneout": (0.1, 0.3)},
        {"weight_drop": 0.3, "recurrent_dropout": 0.2},
    ],
    ids=str,
)
def test_the_page_computes_variants_of_the_lstm(page: Page, options: dict[str, Any]) -> None:
    assert_same(page, a_network(cell_options=options), ragged(1)[0])


def test_a_sequence_of_one_step_is_computed(page: Page) -> None:
    for make in ({}, {"stem_strides": (2, 2)}, {"views": ("level", "change", "shape")}):
        assert_same(page, a_network(**make), ragged(1)[0][:1])


def test_missing_values_count_as_in_python(page: Page) -> None:
    values = ragged(1)[0]
    values[[0, 2], [0, 1]] = np.nan
    assert_same(page, a_network(gaps=True, views=("level", "change")), values)


def test_the_page_predicts_what_the_estimator_predicts(page: Page) -> None:
    X = ragged(12)
    for model, ask in ((fitted(X=X), "predict_proba"), (fitted("regress", X=X), "predict")):
        reading = describe_reading(model._make_task(), model.network_.config.output_size)
        found = page.run(describe_network(model.network_, reading), X[0].astype(np.float32))
        np.testing.assert_allclose(found["predictions"], np.ravel(getattr(model, ask)(X[:1])), rtol=0, atol=1e-5)


@pytest.mark.parametrize("make", [{"bidirectional": False}, {"bidirectional": True}, {"stem_strides": (2, 1)}], ids=str)
def test_answers_along_the_way_are_those_to_sequences_that_end_there(page: Page, make: dict[str, Any]) -> None:
    values = ragged(1)[0]
    network = a_network(pooling="last+mean+max+attention", **make)
    along = page.run(described(network), values)["along"]
    wanted = np.stack([in_python(network, values[: end + 1])[0] for end in range(len(values))])
    np.testing.assert_allclose(along, wanted, rtol=0, atol=TOLERANCE)


# Gates that are held --------------------------------------------------------------------------------------------------


def held_by_hand(
    network: SequenceNetwork, values: NDArray[Any], gate: str, unit: int | None, value: float, steps: range
) -> NDArray[np.float64]:
    """Run the LSTM of the reference step by step, with a gate held, and read the last state out."""
    cell: Any = network.cell
    weights: LSTMWeights = cell._weights("_l0")
    rows = network.views(pack_sequence([torch.as_tensor(values, dtype=torch.float64)])).data
    state = LSTMState(h=torch.zeros(1, cell.hidden_size).double(), c=torch.zeros(1, cell.hidden_size).double())
    units = slice(None) if unit is None else [unit]
    for step, row in enumerate(rows):
        projected = (row @ weights.w_ih.T + weights.b_ih + weights.b_hh)[None]
        gates = lstm_step(projected, state, weights=weights)._asdict()
        if step in steps:
            gates[gate][:, units] = value
        c = gates["f"] * state.c + gates["i"] * gates["g"]
        state = LSTMState(h=gates["o"] * torch.tanh(c), c=c)
    return np.asarray(network.head(state.h)[0].detach().numpy())


@pytest.mark.parametrize("unit", [None, 1], ids=["all units", "one unit"])
@pytest.mark.parametrize("gate", ["i", "f", "g", "o"])
def test_a_held_gate_gives_what_the_reference_gives(page: Page, gate: str, unit: int | None) -> None:
    values = ragged(1)[0]
    network = a_network(bidirectional=False)
    for steps in (range(len(values)), range(2, 3)):
        clamp = {
            "gate": gate,
            "unit": unit,
            "value": 0.25,
            "from": steps[0],
            "to": steps[-1],
            "layer": 0,
            "direction": 0,
        }
        found = page.run(described(network), values, [clamp])
        wanted = held_by_hand(network, values, gate, unit, 0.25, steps)
        np.testing.assert_allclose(found["outputs"], wanted, rtol=0, atol=TOLERANCE)
        assert np.abs(found["traces"][0][gate] - page.run(described(network), values)["traces"][0][gate]).max() > 0.01


def test_a_gate_held_in_another_direction_is_left_alone(page: Page) -> None:
    values = ragged(1)[0]
    network = describe_network(a_network(), LOGITS)
    clamp = {"gate": "f", "unit": None, "value": 0.0, "from": 0, "to": 99, "layer": 0, "direction": 1}
    free, held = page.run(network, values), page.run(network, values, [clamp])
    np.testing.assert_array_equal(free["traces"][0]["c"], held["traces"][0]["c"])
    assert (held["traces"][1]["f"] == 0).all()
    assert np.abs(free["traces"][1]["c"] - held["traces"][1]["c"]).max() > 1e-3


def test_the_comparison_sees_two_gates_that_are_swapped(page: Page) -> None:
    values = ragged(1)[0]
    network = a_network(bidirectional=False)
    right = described(network)
    weights: Any = network.cell
    with torch.no_grad():
        weights.weight_hh_l0.copy_(weights.weight_hh_l0.roll(3, dims=0))
    assert np.abs(page.run(right, values)["outputs"] - in_python(network, values).ravel()).max() > 1e-3
