"""One dropout mask for each sequence."""

from __future__ import annotations

import pytest
import torch
from torch.nn.utils.rnn import pack_sequence, unpack_sequence

from longspan import nn
from longspan.errors import ParameterError, ShapeError


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
