import json
from typing import Any

import numpy as np
import pytest

from longspan.memory.page._arrays import pack, pack_small
from tests.memory.page.engine import engine


@pytest.fixture(scope="module")
def unpacked() -> Any:
    entry = "function probe(packed) { return JSON.stringify(Array.from(unpack(JSON.parse(packed)))); }"
    probe = engine("arrays", entry=entry).get("probe")
    return lambda packed: np.array(json.loads(probe(json.dumps(packed))), dtype=float)


@pytest.mark.parametrize("count", [0, 1, 2, 3, 64, 1001])
def test_whole_arrays_arrive_bit_for_bit(unpacked: Any, count: int) -> None:
    values = np.random.default_rng(count).normal(size=count).astype(np.float32)
    np.testing.assert_array_equal(unpacked(pack(values)), values)


@pytest.mark.parametrize("bits", [8, 16])
def test_small_arrays_arrive_to_half_a_level(unpacked: Any, bits: int) -> None:
    values = np.random.default_rng(0).normal(size=(7, 11))
    found = unpacked(pack_small(values, bits)).reshape(7, 11)
    level = np.ptp(values) / (2**bits - 1)
    assert np.abs(found - values).max() <= 0.5 * level * (1 + 1e-9)
    assert found.min() == values.min()
    assert found.max() == pytest.approx(values.max())


def test_constant_and_empty_arrays_arrive(unpacked: Any) -> None:
    np.testing.assert_array_equal(unpacked(pack_small(np.full(5, 0.3))), np.full(5, 0.3))
    assert unpacked(pack_small(np.zeros(0))).size == 0
