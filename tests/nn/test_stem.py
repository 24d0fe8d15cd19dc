"""The convolutional stem against torch's own parts, one sequence at a time."""

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F
from torch.nn.utils.rnn import pack_sequence, unpack_sequence

from longspan.errors import ParameterError
from longspan.nn import ConvStem

LENGTHS = {"dense": [9, 9], "ragged": [13, 8, 8, 1]}


def sequences(lengths: list[int]) -> list[Tensor]:
    generator = torch.Generator().manual_seed(1)
    return [torch.randn(length, 3, generator=generator, dtype=torch.float64) for length in lengths]


def make_stem(strides: tuple[int, ...]) -> ConvStem:
    torch.manual_seed(0)
    stem = ConvStem(3, 5, strides).double()
    for norm in stem.norms:
        norm.running_mean.uniform_(-1, 1)
        norm.running_var.uniform_(0.5, 2)
    return stem.eval()


def alone(stem: ConvStem, x: Tensor) -> Tensor:
    """The stem's equations over one sequence, which needs neither packing nor masks."""
    steps = x.T[None]
    for convolution, norm, stride in zip(stem.convolutions, stem.norms, stem.strides, strict=True):
        steps = F.relu(norm(F.conv1d(steps, convolution.weight, padding=convolution.kernel_size[0] // 2)))
        padded = F.pad(steps, (0, -steps.shape[-1] % stride))  # relu leaves nothing below the zeros
        steps = padded.unfold(-1, stride, stride).amax(-1)
    return steps[0].T


@pytest.mark.parametrize("strides", [(1, 1), (2, 2), (4, 1), (3, 2, 2)])
@pytest.mark.parametrize("lengths", LENGTHS.values(), ids=LENGTHS)
def test_each_sequence_goes_through_as_if_alone(lengths: list[int], strides: tuple[int, ...]) -> None:
    stem, data = make_stem(strides), sequences(lengths)
    results = unpack_sequence(stem(pack_sequence(data)))
    for x, result in zip(data, results, strict=True):
        torch.testing.assert_close(result, alone(stem, x), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("lengths", LENGTHS.values(), ids=LENGTHS)
def test_statistics_count_real_steps_only(lengths: list[int]) -> None:
    stem, data = make_stem((1,)).train(), sequences(lengths)
    stem.norms[0].momentum = 1.0
    stem(pack_sequence(data))
    rows = torch.cat([F.conv1d(x.T[None], stem.convolutions[0].weight, padding=3)[0].T for x in data])
    torch.testing.assert_close(stem.norms[0].running_mean, rows.mean(0))
    torch.testing.assert_close(stem.norms[0].running_var, rows.var(0))


@pytest.mark.parametrize("training", [False, True])
def test_gradients(training: bool) -> None:
    stem, packed = make_stem((2, 1)).train(training), pack_sequence(sequences([5, 3]))
    rows = packed.data.clone().requires_grad_()
    assert torch.autograd.gradcheck(lambda r: stem(packed._replace(data=r)).data, rows)


def test_a_stride_of_zero_is_refused() -> None:
    with pytest.raises(ParameterError, match="stride"):
        ConvStem(1, 2, (0,))


@pytest.mark.parametrize("widths", [(4,), (5, 0), (3, 2.0)])
def test_a_width_that_is_not_odd_is_refused(widths: tuple[int, ...]) -> None:
    with pytest.raises(ParameterError, match="kernel size"):
        ConvStem(3, 5, (1, 1), widths)
