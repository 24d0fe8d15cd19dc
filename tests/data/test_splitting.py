"""Splits that do not leak."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from longspan.data import split_sequences
from longspan.errors import DataError, ParameterError, ShapeError


@given(st.integers(2, 60), st.floats(0.01, 0.99), st.sampled_from(["random", "time"]), st.booleans(), st.integers(0, 9))
def test_both_sides_together_are_everything_and_groups_stay_whole(
    n: int, fraction: float, how: str, grouped: bool, seed: int
) -> None:
    groups = np.random.default_rng(seed).permutation(np.arange(n) % max(2, n // 3)) if grouped else None
    kept, held = split_sequences(n, fraction, how=how, groups=groups, random_state=seed)
    assert sorted([*kept, *held]) == list(range(n))
    assert len(kept)
    assert len(held)
    if groups is None:
        assert len(held) == min(max(1, round(fraction * n)), n - 1)
    else:
        assert not set(groups[kept]) & set(groups[held])
    if how == "time" and groups is None:
        assert kept.max() < held.min()


def test_by_time_the_groups_that_end_last_are_held_out() -> None:
    groups = ["a", "b", "c", "a", "b", "b", "d", "a"]  # they end at 7, 5, 2 and 6
    kept, held = split_sequences(8, 0.5, how="time", groups=groups)
    assert held.tolist() == [0, 3, 6, 7]
    assert kept.tolist() == [1, 2, 4, 5]


def test_classes_are_held_out_in_proportion() -> None:
    classes = np.array([0] * 60 + [1] * 30 + [2] * 10)
    _, held = split_sequences(100, 0.2, stratify=classes, random_state=0)
    assert np.bincount(classes[held]).tolist() == [12, 6, 2]


def test_a_class_with_one_sequence_does_not_stop_the_split() -> None:
    kept, held = split_sequences(10, 0.3, stratify=np.array([0] * 9 + [1]), random_state=0)
    assert (len(kept), len(held)) == (7, 3)


def test_a_seed_repeats_the_draw_and_another_changes_it() -> None:
    draws = [split_sequences(50, 0.5, random_state=seed)[1].tolist() for seed in (0, 0, 1)]
    assert draws[0] == draws[1] != draws[2]


@pytest.mark.parametrize(
    ("n", "fraction", "options", "error", "says"),
    [
        (5, 0.0, {}, ParameterError, "between 0 and 1"),
        (5, 1.0, {}, ParameterError, "between 0 and 1"),
        (5, float("nan"), {}, ParameterError, "between 0 and 1"),
        (5, 0.5, {"how": "space"}, ParameterError, "'space'"),
        (1, 0.5, {}, ParameterError, "1 sequence"),
        (3, 0.5, {"groups": ["a", "a", "a"]}, ParameterError, "1 group"),
        (3, 0.5, {"groups": ["a", "b"]}, ShapeError, "3 sequences"),
        (2, 0.5, {"groups": np.array(["a", 1], dtype=object)}, DataError, "one kind"),
    ],
)
def test_what_cannot_be_split_is_refused(
    n: int, fraction: float, options: dict, error: type[Exception], says: str
) -> None:
    with pytest.raises(error, match=says):
        split_sequences(n, fraction, **options)
