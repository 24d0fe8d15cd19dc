"""The views of the input against NumPy, one sequence at a time."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch.nn.utils.rnn import pack_sequence, unpack_sequence

from longspan.errors import ParameterError
from longspan.nn import VIEWS, InputViews

LENGTHS = {"dense": [6, 6, 6], "ragged": [7, 4, 4, 1]}


def sequences(lengths: list[int], seed: int = 0) -> list[NDArray[np.float64]]:
    rng = np.random.default_rng(seed)
    return [rng.normal(2.0, 3.0, size=(length, 2)) for length in lengths]


def by_hand(x: NDArray[np.float64], mean: NDArray[np.float64], scale: NDArray[np.float64]) -> NDArray[np.float64]:
    level = (x - mean) / scale
    change = np.diff(level, axis=0, prepend=level[:1])
    shape = (level - level.mean(0)) / np.sqrt(level.var(0) + 1e-4)
    return np.concatenate([level, change, shape], axis=1)


@pytest.mark.parametrize("lengths", LENGTHS.values(), ids=LENGTHS)
def test_views_agree_with_numpy(lengths: list[int]) -> None:
    mean, scale = np.array([1.0, -2.0]), np.array([2.0, 0.5])
    view_mean, view_scale = np.arange(6.0), np.arange(1.0, 7.0)
    views = InputViews(2, VIEWS).double()
    views.scale_channels(mean, scale)
    views.scale_views(view_mean, view_scale)
    data = sequences(lengths)
    seen = unpack_sequence(views(pack_sequence([torch.from_numpy(x) for x in data])))
    for x, got in zip(data, seen, strict=True):
        expected = (by_hand(x, mean, scale) - view_mean) / view_scale
        np.testing.assert_allclose(got.numpy(), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("lengths", LENGTHS.values(), ids=LENGTHS)
def test_gradients_of_the_input_are_right_also_for_a_channel_that_stands_still(lengths: list[int]) -> None:
    views = InputViews(2, VIEWS).double()
    data = [torch.from_numpy(x) for x in sequences(lengths)]
    data[0][:, 1] = 3.0
    packed = pack_sequence(data)
    rows = packed.data.clone().requires_grad_()
    assert torch.autograd.gradcheck(lambda r: views(packed._replace(data=r)).data, rows)


def test_what_was_never_seen_is_the_mean_of_its_channel() -> None:
    views = InputViews(1, gaps=True)
    views.scale_channels([5.0], [2.0])
    seen = views(pack_sequence([torch.tensor([[float("nan")], [7.0]])])).data
    assert seen.tolist() == [[0.0], [1.0]]


def test_noise_is_there_in_training_only_and_has_the_size_asked_for() -> None:
    views = InputViews(1, noise=0.5)
    packed = pack_sequence([torch.zeros(20_000, 1)])
    torch.manual_seed(0)
    assert views(packed).data.std().item() == pytest.approx(0.5, rel=0.02)
    assert views.eval()(packed).data.abs().max().item() == 0.0


@pytest.mark.parametrize("lengths", LENGTHS.values(), ids=LENGTHS)
def test_amplitude_noise_is_one_factor_a_sequence(lengths: list[int]) -> None:
    views = InputViews(2, amplitude_noise=0.3).double()
    data = [torch.from_numpy(x) for x in sequences(lengths)]
    torch.manual_seed(0)
    seen = unpack_sequence(views(pack_sequence(data)))
    factors = [got / x for got, x in zip(seen, data, strict=True)]
    for factor in factors:
        torch.testing.assert_close(factor, factor[0, 0].expand_as(factor))
    assert len({round(factor[0, 0].item(), 6) for factor in factors}) == len(lengths)


@pytest.mark.parametrize("views", [(), ("level", "level"), ("level", "smell")])
def test_unknown_and_repeated_views_are_refused(views: tuple[str, ...]) -> None:
    with pytest.raises(ParameterError, match="view"):
        InputViews(1, views)
