"""Sums and largest numbers over steps, and random masks: the native kernels against plain loops."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn.utils.rnn import pack_sequence

from longspan import ops
from longspan.ops import _native, pooling


def drawn(lengths: list[int], features: int, dtype: torch.dtype = torch.float64) -> tuple[list[Tensor], Tensor, Tensor]:
    generator = torch.Generator().manual_seed(sum(lengths))
    parts = [torch.randn(length, features, generator=generator, dtype=dtype) for length in lengths]
    packed = pack_sequence(parts)
    return parts, packed.data.clone().requires_grad_(), packed.batch_sizes


@settings(max_examples=40, deadline=None)
@given(
    lengths=st.lists(st.integers(1, 70), min_size=1, max_size=9),
    features=st.integers(1, 35),
    threads=st.integers(1, 3),
)
def test_values_and_gradients_are_those_of_a_loop_over_sequences(
    lengths: list[int], features: int, threads: int
) -> None:
    lengths = sorted(lengths, reverse=True)
    torch.set_num_threads(threads)
    for name in _native.instruction_sets():
        _native.use(name)
        for dtype, within in ((torch.float64, 1e-13), (torch.float32, 1e-5)):
            parts, rows, sizes = drawn(lengths, features, dtype)
            total, largest = ops.pool_steps(rows, sizes)
            assert total is not None
            assert largest is not None
            weigh = torch.arange(total.numel(), dtype=dtype).view_as(total)
            ((weigh.cos() * total).sum() + (weigh.sin() * largest).sum()).backward()
            for n, part in enumerate(parts):
                steps = part.double().numpy()
                np.testing.assert_allclose(total[n].detach(), steps.sum(0), atol=within * len(steps))
                np.testing.assert_array_equal(largest[n].detach(), steps.max(0))
            expected = [
                weigh[n].cos() + weigh[n].sin() * (part == part.amax(0)).to(dtype) for n, part in enumerate(parts)
            ]
            torch.testing.assert_close(rows.grad, pack_sequence(expected).data, atol=within, rtol=0)


def test_a_sequence_has_the_same_bits_alone_in_any_batch_and_on_torchs_path() -> None:
    parts, rows, sizes = drawn([1001, 640, 640, 63, 1], 19, torch.float32)
    total, largest = ops.pool_steps(rows, sizes)
    assert total is not None
    assert largest is not None
    assert torch.equal(total, pooling._sum_in_pairs(rows, sizes))
    for n, part in enumerate(parts):
        alone = ops.pool_steps(part, ops.dense_batch_sizes(len(part), 1))
        assert torch.equal(alone[0], total[n : n + 1])
        assert torch.equal(alone[1], largest[n : n + 1])


def test_a_sum_over_many_steps_loses_little() -> None:
    rows = torch.full((1_000_000, 1), 0.1)
    total, largest = ops.pool_steps(rows, ops.dense_batch_sizes(len(rows), 1), largest=False)
    assert largest is None
    assert total is not None
    assert float(total) == pytest.approx(100_000, rel=1e-6)


def test_nan_is_the_largest_of_its_own_sequence_alone() -> None:
    _, rows, sizes = drawn([4, 3, 3], 2)
    spoilt = rows.detach().clone()
    spoilt[4, 1] = float("nan")  # sequence 1, step 1
    total, largest = ops.pool_steps(spoilt, sizes)
    assert total is not None
    assert largest is not None
    assert largest.isnan().tolist() == total.isnan().tolist() == [[False, False], [False, True], [False, False]]


def test_the_first_of_equal_steps_gets_the_gradient() -> None:
    rows = torch.ones(3, 1, requires_grad=True)
    _, largest = ops.pool_steps(rows, ops.dense_batch_sizes(3, 1), total=False)
    assert largest is not None
    largest.sum().backward()
    assert rows.grad is not None
    assert rows.grad.flatten().tolist() == [1.0, 0.0, 0.0]


def test_second_derivatives_are_right() -> None:
    _, rows, sizes = drawn([3, 2, 2], 2)

    def run(rows: Tensor) -> tuple[Tensor, ...]:
        total, largest = ops.pool_steps(rows, sizes)
        assert total is not None
        assert largest is not None
        return total.square(), largest.square()

    assert torch.autograd.gradcheck(run, rows)
    assert torch.autograd.gradgradcheck(run, rows)


def test_without_kernels_pooling_goes_through_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    _, rows, sizes = drawn([9, 4, 4, 2], 3)
    native = ops.pool_steps(rows, sizes)
    monkeypatch.setattr(_native, "_compiled", None)
    for ours, theirs in zip(native, ops.pool_steps(rows, sizes), strict=True):
        assert ours is not None
        assert theirs is not None
        assert torch.equal(ours, theirs)


@pytest.mark.parametrize("share", [0.03, 0.5, 0.9])
def test_a_mask_is_true_as_often_as_it_was_told_in_every_row_and_column(share: float) -> None:
    torch.manual_seed(0)
    mask = ops.draw_mask(torch.zeros(1), (400, 500), share)
    assert mask.dtype == torch.bool
    spread = (share * (1 - share)) ** 0.5
    for axis, count in ((0, 400), (1, 500)):
        errors = (mask.double().mean(axis) - share) / (spread / count**0.5)
        assert abs(float(errors.mean())) < 4 / len(errors) ** 0.5
        assert 0.85 < float(errors.std()) < 1.15
    values = mask.double().flatten() - share
    for apart in (1, 2, 16, 500, 4096):
        assert abs(float((values[apart:] * values[:-apart]).mean())) / spread**2 < 4 / values.numel() ** 0.5


def test_masks_come_from_torchs_generator_and_not_from_the_number_of_threads() -> None:
    found = []
    for threads in (1, 2, 3):
        torch.set_num_threads(threads)
        torch.manual_seed(7)
        found.append([ops.draw_mask(torch.zeros(1), (1000, 301), 0.2) for _ in range(2)])
    assert all(torch.equal(mask, first) for masks in found for mask, first in zip(masks, found[0], strict=True))
    assert not torch.equal(found[0][0], found[0][1])


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_a_share_of_all_or_nothing_is_exact(share: float) -> None:
    assert bool((ops.draw_mask(torch.zeros(1), (100, 100), share) == bool(share)).all())
