"""What the kernels are to reach, and whether they do."""

from collections.abc import Callable, Iterator
from statistics import geometric_mean
from typing import Any, NamedTuple

from benchmarks.kernels import dense, fit, memory, peers, ragged, streaming, variants
from benchmarks.kernels.records import Record

ROUNDING = 0.05
"""A layer also keeps the state before the first step, 2 H a sequence."""


class Goal(NamedTuple):
    """One line of the table; `reached` is None where a case was not run, was red, or has nothing to measure."""

    work: str
    goal: str
    measured: str
    reached: bool | None


def goals(records: list[Record]) -> list[Goal]:
    """Hold what was measured to every goal of the cases that were run."""
    cases = {record["case"] for record in records}
    return [goal for goal in _all_goals(records) if goal.work in cases]


def _all_goals(records: list[Record]) -> list[Goal]:
    return [
        *_dense_training(_of(records, dense.TRAINING)),
        *_dense_inference(_of(records, dense.INFERENCE)),
        _none_slower(dense.OTHER_TRAINING, _of(records, dense.OTHER_TRAINING), "against torch"),
        _none_slower(dense.OTHER_INFERENCE, _of(records, dense.OTHER_INFERENCE), "against torch"),
        *_ragged(_of(records, ragged.CASE)),
        *_variants(_of(records, variants.CASE)),
        *_streaming(_of(records, streaming.CASE)),
        *_memory(_of(records, memory.KEPT)),
        *_million(_of(records, memory.LONG)),
        _at_least(dense.DOUBLE, "each shape against torch", 4.0, _of(records, dense.DOUBLE), "against torch"),
        _at_least(fit.CASE, "against torch's packed path", 2.5, _of(records, fit.CASE), "against torch packed"),
    ]


def _of(records: list[Record], case: str) -> list[Record] | None:
    """Return the records of a case, or None if it was not run or not all of it could be measured."""
    found = [record for record in records if record["case"] == case]
    whole = found and not any("red" in record for record in found)
    return found if whole else None


def _median(record: Record, key: str) -> float:
    return float(record[key][1])


def _judge(
    work: str, goal: str, records: list[Record] | None, judge: Callable[[list[Record]], tuple[str, bool]]
) -> Goal:
    measured = [record for record in records or [] if "not measured" not in record]
    if not measured:
        return Goal(work, goal, "not measured", None)
    return Goal(work, goal, *judge(measured))


def _at_least(work: str, what: str, least: float, records: list[Record] | None, key: str) -> Goal:
    def judge(records: list[Record]) -> tuple[str, bool]:
        values = [_median(record, key) for record in records]
        mean = f", geometric mean {geometric_mean(values):.2f}x" if len(values) > 1 else ""
        return f"{min(values):.2f}x{mean}", min(values) >= least

    return _judge(work, f"{what}: at least {least:g}x", records, judge)


def _at_most(work: str, what: str, most: float, records: list[Record] | None, key: str, unit: str = "x") -> Goal:
    def judge(records: list[Record]) -> tuple[str, bool]:
        values = [_median(record, key) for record in records]
        return f"{max(values):.2f}{unit}", max(values) <= most

    return _judge(work, f"{what}: at most {most:g}{unit}", records, judge)


def _mean_at_least(work: str, least: float, records: list[Record] | None, key: str) -> Goal:
    def judge(records: list[Record]) -> tuple[str, bool]:
        mean = geometric_mean([_median(record, key) for record in records])
        return f"{mean:.2f}x", mean >= least

    return _judge(work, f"{key}, geometric mean: at least {least:g}x", records, judge)


def _none_slower(work: str, records: list[Record] | None, key: str) -> Goal:
    """A shape is slower if even the third quartile of its ratio is below 1: by more than the noise."""

    def judge(records: list[Record]) -> tuple[str, bool]:
        slower = [record for record in records if record[key][2] < 1.0]
        least = min(records, key=lambda record: _median(record, key))
        sizes = ", ".join(f"{letter}={least[letter]}" for letter in "BTIH")
        text = f"{len(slower)} of {len(records)} slower; least {_median(least, key):.2f}x ({sizes})"
        return text, not slower

    return _judge(work, f"{key}: no shape slower by more than the noise", records, judge)


def _dense_training(records: list[Record] | None) -> Iterator[Goal]:
    yield _mean_at_least(dense.TRAINING, 1.9, records, "against torch")
    yield _none_slower(dense.TRAINING, records, "against torch")
    for title, share, chosen in (
        ("H=128 and more", 0.85, lambda hidden: hidden >= 128),
        ("H=64", 0.60, lambda hidden: hidden == 64),
        ("H=32", 0.45, lambda hidden: hidden == 32),
    ):
        of_size = None if records is None else [record for record in records if chosen(record["H"])]
        yield _share(title, share, of_size)


def _share(title: str, least: float, records: list[Record] | None) -> Goal:
    def judge(records: list[Record]) -> tuple[str, bool]:
        shares = [_median(record, "share of the product") for record in records]
        most = f" to {max(shares):.0%}" if len(shares) > 1 else ""
        return f"{min(shares):.0%}{most}", min(shares) >= least

    return _judge(dense.TRAINING, f"{title}: at least {least:.0%} of the matrix-product rate", records, judge)


def _dense_inference(records: list[Record] | None) -> Iterator[Goal]:
    keys = {key for record in records or [] for key in record}
    key = "against torch and onnxruntime" if "against torch and onnxruntime" in keys else "against torch"
    yield _mean_at_least(dense.INFERENCE, 1.5, records, key)
    yield _none_slower(dense.INFERENCE, records, key)


def _where(records: list[Record] | None, **values: Any) -> list[Record] | None:
    if records is None:
        return None
    return [record for record in records if all(record.get(name) == value for name, value in values.items())]


def _ragged(records: list[Record] | None) -> Iterator[Goal]:
    yield _at_most(ragged.CASE, "a real step against one of a dense batch", 1.1, records, "real step against dense")
    for steps, least in ((200, 3.0), (1000, 8.0)):
        chosen = _where(records, T=steps)
        yield _at_least(ragged.CASE, f"against torch packed, T={steps}", least, chosen, "against torch packed")


def _variants(records: list[Record] | None) -> Iterator[Goal]:
    for name in variants.GOALS:
        most = 1.5 if name == "layer norm" else 1.25
        chosen = _where(records, variant=name)
        yield _at_most(variants.CASE, f"{name}, time against the plain cell", most, chosen, "time against plain")
    alone = None if records is None else [record for record in records if record["variant"] in variants.GOALS]
    yield _at_least(variants.CASE, "against a loop in Python", 5.0, alone, "against the loop")


def _streaming(records: list[Record] | None) -> Iterator[Goal]:
    chosen = _where(records, streams=1, I=16, H=64)
    yield _at_most(streaming.CASE, "one step, I=16, H=64", 5.0, chosen, "us a step", " us")
    yield _at_least(streaming.CASE, "against torch.nn.LSTM", 20.0, chosen, f"against {peers.TORCH}")
    with_onnx = None if chosen is None else [record for record in chosen if f"against {peers.ONNX}" in record]
    yield _at_least(streaming.CASE, "against ONNX Runtime", 2.0, with_onnx, f"against {peers.ONNX}")


def _memory(records: list[Record] | None) -> Iterator[Goal]:
    for path, most in ((peers.LONGSPAN, 6.0), (memory.RECOMPUTE, 2.0)):
        goal = f"{path}: at most {most:g} H floats a row and step"
        yield _judge(memory.KEPT, goal, _where(records, path=path), lambda found, most=most: _floats(found, most))
    chosen = _where(records, path=memory.RECOMPUTE)
    yield _at_most(memory.KEPT, "recompute, time against plain", 1.4, chosen, "time against plain")


def _floats(records: list[Record], most: float) -> tuple[str, bool]:
    floats = max(record["floats a row and unit"] for record in records)
    return f"{floats:.2f} H", floats <= most + ROUNDING


def _million(records: list[Record] | None) -> Iterator[Goal]:
    ours = None if records is None else [record for record in records if record["path"] != peers.TORCH]
    whole = _where(ours, T=1_000_000)

    def judge(records: list[Record]) -> tuple[str, bool]:
        best = min(records, key=lambda record: record["MB above the data"])
        return f"{best['MB above the data']:.0f} MB ({best['path']})", best["MB above the data"] < 1000

    yield _judge(memory.LONG, "H=64, B=1, exact gradient: under 1 GB above the data", whole, judge)
