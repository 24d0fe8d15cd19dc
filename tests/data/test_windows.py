"""Windows of series, compared with slices cut one by one."""

import numpy as np
import pytest
import torch

from longspan.data.windows import Origins, SeriesBlock, Windows, last_origins, origins_of

L, H = 4, 2


def block(lengths: list[int], *, channels: int = 1, gaps: float = 0.0, ahead: int = 0, seed: int = 0) -> SeriesBlock:
    rng = np.random.default_rng(seed)
    rows = sum(lengths) + ahead * len(lengths)
    values = rng.normal(size=(rows, channels)) * 1e3
    values[rng.random(values.shape) < gaps] = np.nan
    offsets = np.concatenate([[0], np.cumsum(np.array(lengths) + ahead)])
    if ahead:
        for stop in offsets[1:]:
            values[stop - ahead : stop] = np.nan
    return SeriesBlock(values, offsets, rng.normal(size=(rows, 3)), rng.normal(size=(len(lengths), 2)), ahead)


@pytest.mark.parametrize("channels", [1, 3])
def test_origins_are_those_found_one_by_one(channels: int) -> None:
    data = block([12, 9, 7], channels=channels, gaps=0.3)
    expected = []
    for series, (start, stop) in enumerate(zip(data.offsets[:-1], data.offsets[1:], strict=True)):
        for row in range(start + L, stop - H + 1):
            for channel in range(channels):
                past, future = data.values[row - L : row, channel], data.values[row : row + H, channel]
                seen = np.isfinite(past)
                if seen[-1] and seen.mean() >= 0.5 and np.isfinite(future).any():
                    expected.append((row, series, channel))
    found = origins_of(data, L, H)
    assert list(zip(*(part.tolist() for part in found), strict=True)) == expected
    assert expected


def test_batches_hold_what_slices_hold() -> None:
    data = block([12, 9], channels=2)
    origins = origins_of(data, L, H)
    windows = Windows(data, origins, context=L, horizon=H, batch_size=5)
    assert len(windows) == -(-len(origins.rows) // 5)
    rows_seen = []
    for batch in windows.longest_first():
        for place, number in enumerate(batch.index):
            row, series, channel = (int(part[number]) for part in origins)
            past, future = slice(row - L, row), slice(row, row + H)
            own = data.values[past][:, [channel, 1 - channel]]
            wanted = {
                "values": own - own[-1],
                "seen": np.ones((L, 2)),
                "past": data.covariates[past],
                "future": data.covariates[future],
                "static": np.concatenate([data.static[series], np.eye(2)[channel]]),
            }
            for name, value in wanted.items():
                np.testing.assert_allclose(getattr(batch.inputs, name)[place], value, rtol=1e-5, err_msg=name)
            np.testing.assert_allclose(batch.targets[place], data.values[future, channel] - own[-1, 0], rtol=1e-5)
            assert windows.anchors(batch.index)[place] == own[-1, 0]
            rows_seen.append(number)
    assert rows_seen == list(range(len(origins.rows)))


def test_small_changes_on_a_high_level_are_not_rounded_away() -> None:
    values = 1e9 + np.arange(8.0)[:, None] / 8
    data = SeriesBlock(values, np.array([0, 8]), np.zeros((8, 0)), np.zeros((1, 0)))
    windows = Windows(data, origins_of(data, 4, 1), context=4, horizon=1, batch_size=9)
    batch = next(windows.longest_first())
    assert batch.inputs.values[0, :, 0].tolist() == [-0.375, -0.25, -0.125, 0.0]
    assert batch.targets[0].tolist() == [0.125]


def test_gaps_are_bridged_and_told() -> None:
    values = np.array([np.nan, 1.0, np.nan, np.nan, 4.0, 5.0])[:, None]
    data = SeriesBlock(values, np.array([0, 6]), np.zeros((6, 0)), np.zeros((1, 0)))
    assert data.filled().ravel().tolist() == [1, 1, 2, 3, 4, 5]
    windows = Windows(data, Origins(*np.array([[5], [0], [0]])), context=5, horizon=1, batch_size=1)
    inputs = windows.batch(np.array([0])).inputs
    assert inputs.seen.ravel().tolist() == [0, 1, 0, 0, 1]
    assert inputs.values.ravel().tolist() == [-3, -3, -2, -1, 0]


def test_gaps_of_several_channels_look_back_alone() -> None:
    values = np.array([[np.nan, 1.0], [2.0, np.nan], [3.0, np.nan], [4.0, 9.0]])
    data = SeriesBlock(values, np.array([0, 4]), np.zeros((4, 0)), np.zeros((1, 0)))
    assert data.filled().T.tolist() == [[2, 2, 3, 4], [1, 1, 1, 9]]


@pytest.mark.parametrize("channels", [1, 2])
def test_a_window_knows_nothing_of_what_comes_after_its_origin(channels: int) -> None:
    data = block([30], channels=channels, gaps=0.2)
    origins = origins_of(data, L, H)
    chosen = np.flatnonzero(origins.rows == origins.rows[len(origins.rows) // 2])
    later = data.values.copy()
    row = origins.rows[chosen[0]]
    later[row:] = np.where(np.isnan(later[row:]), np.nan, 7e5)
    later[row, :] = np.nan
    other = SeriesBlock(later, data.offsets, data.covariates, data.static)
    ours, theirs = (
        Windows(each, origins, context=L, horizon=H, batch_size=9).batch(chosen).inputs for each in (data, other)
    )
    for name in ("values", "seen", "past", "static"):
        assert torch.equal(getattr(ours, name), getattr(theirs, name)), name


def test_a_shuffled_pass_draws_each_window_once_at_most() -> None:
    data = block([40])
    origins = origins_of(data, L, H)
    every = Windows(data, origins, context=L, horizon=H, batch_size=8)
    drawn = [batch.index for batch in every.shuffled(np.random.default_rng(0))]
    assert sorted(np.concatenate(drawn)) == list(range(len(origins.rows)))
    some = Windows(data, origins, context=L, horizon=H, batch_size=8, per_epoch=10)
    parts = [batch.index for batch in some.shuffled(np.random.default_rng(0))]
    assert len(parts) == len(some) == 2
    assert len(set(np.concatenate(parts))) == 10


def test_the_end_of_each_series_is_an_origin_for_each_channel() -> None:
    data = block([5, 6], channels=2, ahead=H)
    found = last_origins(data)
    assert found.rows.tolist() == [5, 5, 13, 13]
    assert found.series.tolist() == [0, 0, 1, 1]
    assert found.channels.tolist() == [0, 1, 0, 1]


def test_the_smallest_scale_stays_within_a_series() -> None:
    values = np.array([0.0, 1.0, 0.0, 1.0, 1e6, 1e6, 1e6, 1e6])[:, None]
    data = SeriesBlock(values, np.array([0, 4, 8]), np.zeros((8, 0)), np.zeros((2, 0)))
    windows = Windows(data, Origins(*np.array([[4, 8], [0, 1], [0, 0]])), context=4, horizon=1, batch_size=2)
    np.testing.assert_allclose(windows.floor(np.array([0, 1])).ravel(), [0.01, 1.0], rtol=1e-3)
