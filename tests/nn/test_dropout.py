"""One dropout mask for each sequence."""

from __future__ import annotations

import pytest
import torch
from torch.nn.utils.rnn import pack_sequence, unpack_sequence

from longspan import nn
from longspan.errors import ParameterError, ShapeError
from longspan.ops import _native


def assert_one_mask_a_sequence(sequences: list[torch.Tensor]) -> None:
    masks = [sequence[0] for sequence in sequences]
    for sequence, mask in zip(sequences, masks, strict=True):
        assert torch.equal(sequence, mask.expand_as(sequence))
        assert set(mask.tolist()) == {0.0, 2.0}
    assert not torch.equal(masks[0], masks[1])


def test_packed() -> None:
    packed = pack_sequence([torch.ones(n, 40) for n in (2, 7, 4)], enforce_sorted=False)
    dropped = nn.VariationalDropout(0.5)(packed)
    assert_one_mask_a_sequence(unpack_sequence(dropped))
    assert torch.equal(dropped.unsorted_indices, packed.unsorted_indices)


@pytest.mark.parametrize("batch_first", [False, True])
def test_tensors(batch_first: bool) -> None:
    dropped = nn.VariationalDropout(0.5, batch_first=batch_first)(torch.ones(3, 5, 40))
    assert_one_mask_a_sequence(list(dropped.unbind(0 if batch_first else 1)))


def test_evaluation_and_zero_change_nothing() -> None:
    x = torch.randn(3, 2, 4)
    assert nn.VariationalDropout(0.5).eval()(x) is x
    assert nn.VariationalDropout(0.0)(x) is x


def test_refusals() -> None:
    with pytest.raises(ParameterError, match="p is 2"):
        nn.VariationalDropout(2)
    with pytest.raises(ShapeError, match="2 axes"):
        nn.VariationalDropout(0.5)(torch.zeros(3, 4))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_dropout_scales_what_stays_and_sends_gradients_the_same_way(dtype: torch.dtype) -> None:
    x = torch.full((300, 2, 50), 3.0, dtype=dtype, requires_grad=True)
    dropped = nn.Dropout(0.25)(x)
    assert dropped.dtype == dtype
    scale = float(torch.tensor(1 / 0.75, dtype=dtype))
    kept = dropped != 0
    torch.testing.assert_close(dropped, torch.where(kept, 3.0 * scale, 0.0).to(dtype), rtol=1e-2, atol=0)
    (grad,) = torch.autograd.grad(dropped.sum(), x)
    torch.testing.assert_close(grad, torch.where(kept, scale, 0.0).to(dtype), rtol=1e-2, atol=0)
    assert float(kept.double().mean()) == pytest.approx(0.75, abs=4 * (0.75 * 0.25 / x.numel()) ** 0.5)


def test_dropout_is_gone_in_evaluation_whole_at_one_and_the_same_from_the_same_seed() -> None:
    x = torch.randn(40, 30)
    assert torch.equal(nn.Dropout(0.5).eval()(x), x)
    assert torch.equal(nn.Dropout(0.0)(x), x)
    assert not nn.Dropout(1.0)(x).any()
    found = []
    for _ in range(2):
        torch.manual_seed(3)
        found.append(nn.Dropout(0.5)(x))
    assert torch.equal(*found)
    assert not torch.equal(found[0], nn.Dropout(0.5)(x))


def test_dropout_in_place_and_without_kernels_is_torchs(monkeypatch: pytest.MonkeyPatch) -> None:
    x = torch.ones(40, 30)
    assert nn.Dropout(0.5, inplace=True)(x) is x
    monkeypatch.setattr(_native, "_compiled", None)
    torch.manual_seed(3)
    ours = nn.Dropout(0.5)(torch.ones(40, 30))
    torch.manual_seed(3)
    assert torch.equal(ours, torch.nn.functional.dropout(torch.ones(40, 30), 0.5))
