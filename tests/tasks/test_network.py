"""The network of every task: what it is made of, and that a sequence's output is its own."""

import copy
import json

import pytest
import torch
from torch.nn.utils.rnn import PackedSequence, pack_sequence

from longspan.errors import ParameterError
from longspan.tasks import CELLS, NetworkConfig, SequenceNetwork, check_cell_options, count_parameters

VARIANTS = [
    NetworkConfig(2, 3, cell=cell, hidden_size=4, num_layers=layers, bidirectional=both, pooling=pooling, window=3)
    for cell in CELLS
    for layers, both, pooling in [(1, False, "last"), (2, True, "last+mean+max"), (1, True, None), (1, False, None)]
]


def inputs(lengths: tuple[int, ...] = (6, 4, 1)) -> PackedSequence:
    generator = torch.Generator().manual_seed(1)
    return pack_sequence([torch.randn(length, 2, generator=generator) for length in lengths])


def made(config: NetworkConfig) -> SequenceNetwork:
    torch.manual_seed(0)
    return SequenceNetwork(config).eval()


@pytest.mark.parametrize("config", VARIANTS, ids=str)
def test_each_kind_gives_an_output_a_sequence_or_a_step(config: NetworkConfig) -> None:
    outputs = made(config)(inputs())
    assert outputs.shape == ((3, 3) if config.pooling else (11, 3))
    assert outputs.isfinite().all()


@pytest.mark.parametrize("config", VARIANTS, ids=str)
def test_counting_makes_no_network_and_agrees_with_one(config: NetworkConfig) -> None:
    assert count_parameters(config) == sum(p.numel() for p in SequenceNetwork(config).parameters())


@pytest.mark.parametrize("config", [v for v in VARIANTS if v.pooling], ids=str)
def test_a_sequence_alone_gives_what_it_gives_in_a_batch(config: NetworkConfig) -> None:
    network = made(config)
    together = network(inputs())
    generator = torch.Generator().manual_seed(1)
    for row, length in zip(together, (6, 4, 1), strict=True):
        alone = network(pack_sequence([torch.randn(length, 2, generator=generator)]))
        torch.testing.assert_close(alone[0], row, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("config", [v for v in VARIANTS if v.pooling is None and not v.bidirectional], ids=str)
def test_one_direction_never_looks_ahead(config: NetworkConfig) -> None:
    network = made(config)
    steps = torch.randn(8, 2, generator=torch.Generator().manual_seed(0))
    whole = network(pack_sequence([steps]))
    torch.testing.assert_close(network(pack_sequence([steps[:5]])), whole[:5], rtol=1e-5, atol=1e-6)


def test_a_network_can_begin_with_outputs_of_zero() -> None:
    outputs = made(NetworkConfig(2, 3, hidden_size=4, zero_head=True))(inputs())
    assert (outputs == 0).all()


def test_what_was_never_seen_counts_as_the_mean_of_its_channel() -> None:
    network = made(NetworkConfig(2, 1, hidden_size=4, gaps=True))
    network.views.scale_channels([3.0, -1.0], [2.0, 1.0])
    gaps = pack_sequence([torch.tensor([[float("nan"), 0.0], [1.0, float("nan")]])])
    means = pack_sequence([torch.tensor([[3.0, 0.0], [1.0, -1.0]])])
    assert (network(gaps) == network(means)).all()


@pytest.mark.parametrize("config", VARIANTS[:2], ids=str)
def test_configuration_is_plain_and_makes_the_same_network(config: NetworkConfig) -> None:
    plain = json.loads(json.dumps(config.to_dict()))
    for name in ("views", "stem_strides"):
        plain[name] = tuple(plain[name])
    assert NetworkConfig(**plain) == config
    network = made(config)
    twin = copy.deepcopy(network)
    assert (network(inputs()) == twin(inputs())).all()


def test_an_unknown_cell_is_refused() -> None:
    with pytest.raises(ParameterError, match="'elman'"):
        SequenceNetwork(NetworkConfig(2, 3, cell="elman"))


@pytest.mark.parametrize("options", [{}, {"layer_norm": True}, {"peephole": True, "zoneout": (0.1, 0.2)}])
def test_variants_of_the_cell_are_allowed(options: dict[str, object]) -> None:
    check_cell_options(options)
    SequenceNetwork(NetworkConfig(2, 3, hidden_size=4, cell_options=options))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (None, "cell_options is None or a dict with some of coupled, layer_norm, .*, but it was None"),
        ({"hidden_size": 4}, "but it was {'hidden_size': 4}"),
        ({"recompute": True}, "but it was {'recompute': True}"),
        ({"zoneout": 1.5}, "cell_options: zoneout"),
        ({"layer_norm": 1}, "cell_options: layer_norm"),
    ],
)
def test_what_is_no_variant_of_the_cell_is_refused(options: object, said: str) -> None:
    with pytest.raises(ParameterError, match=said):
        check_cell_options(options)
