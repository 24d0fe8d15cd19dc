"""The benchmark of the kernels measures what it says: its references are right, and what is wrong is not timed."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from benchmarks.kernels import __main__ as command
from benchmarks.kernels import dense, eager, peers, picture, published, reference, report, roofs, timing, variants
from benchmarks.kernels.goals import goals
from benchmarks.kernels.problems import Problem, draw, ragged
from benchmarks.kernels.records import NotThereError, Plan, measured
from benchmarks.kernels.reference import RedCheckError, check
from benchmarks.kernels.timing import Contest, Effort, contest
from longspan import ops
from longspan.nn import LSTM

SHORT = Effort(seconds=0.0, fewest=3, most=3)


@pytest.mark.parametrize("problem", [Problem(3, 5, 2, 4), Problem(1, 1, 1, 1), ragged(5, 8, 3, 6)], ids=str)
def test_the_gradient_by_hand_is_the_one_that_torch_derives(problem: Problem) -> None:
    data = draw(problem, torch.float64)
    derived = peers.trainer(peers.loaded(torch.nn.LSTM, data), data)()
    assert check(derived, reference.lstm(data), 1e-12) < 1e-12


@pytest.mark.parametrize("variant", variants.VARIANTS)
def test_the_loop_is_the_variant_that_longspan_has(variant: str) -> None:
    problem = Problem(3, 6, 2, 4)
    torch.manual_seed(0)
    layer = LSTM(2, 4, dtype=torch.float64, **variants.VARIANTS[variant](4))
    for weight in layer.parameters():
        torch.nn.init.normal_(weight, std=0.7)
    x = torch.randn(6, 3, 2, dtype=torch.float64)
    loop = variants._eager(layer, torch.float64)
    masks = loop.draw(problem.steps, x.new_zeros(3, layer.output_size), x.new_zeros(3, 4))
    zones = [mask if mask is None else mask.flatten(0, 1) for mask in masks[1:]]
    output, *_ = ops.lstm(
        x,
        torch.full((6,), 3),
        ops.LSTMState(h=x.new_zeros(3, layer.output_size), c=x.new_zeros(3, 4)),
        weights=layer._weights("_l0"),
        coupled=layer.coupled,
        recurrent_mask=masks.recurrent,
        zoneout=None if zones[0] is None else ops.Zoneout(*zones),
        trace=True,
    )
    assert check({"output": loop(x, masks)[0].detach()}, {"output": output.detach()}, 1e-12) < 1e-12


@pytest.mark.parametrize(
    ("found", "words"),
    [
        ({"a": [1.0, 2.1]}, "a is off by 0.05"),
        ({"a": [1.0, np.nan]}, "a is off by nan"),
        ({"b": [1.0, 2.0]}, "expected"),
    ],
    ids=["off", "nan", "names"],
)
def test_what_is_wrong_is_red(found: dict[str, Any], words: str) -> None:
    with pytest.raises(RedCheckError, match=words):
        check(found, {"a": [1.0, 2.0]}, 1e-5)


def test_a_red_case_is_not_timed_and_ends_with_status_1(monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    def wrong(data: Any, *, gradients: bool = True) -> dict[str, Any]:
        return {name: value + 1e-3 for name, value in right(data, gradients=gradients).items()}

    def never(*_: Any, **__: Any) -> None:
        raise AssertionError("timed")

    right = reference.lstm
    monkeypatch.setattr(dense, "lstm", wrong)
    monkeypatch.setattr(dense, "contest", never)
    monkeypatch.setattr(dense, "TABLE", [Problem(2, 3, 1, 4)])
    monkeypatch.setattr(peers, "missing", lambda: [peers.ONNX, peers.JAX])
    monkeypatch.setattr(command, "CASES", dense.cases())
    monkeypatch.setattr(sys, "argv", ["kernels", "--case", dense.TRAINING])
    with pytest.raises(SystemExit) as ended:
        command.main()
    assert ended.value.code == 1
    shown = capsys.readouterr()
    assert "red, and not timed: dense training" in shown.err
    assert "not timed, its check is red: " in shown.out
    assert "not measured" in shown.out.split("Goals")[1]


def test_a_case_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Plan, "effort", SHORT)
    monkeypatch.setattr(timing, "_SIDE", {torch.float32: 64})
    monkeypatch.setattr(peers, "missing", lambda: [peers.ONNX, peers.JAX])
    problem = Problem(2, 3, 1, 4)
    record = measured(dense.TRAINING, problem.describe(), lambda: dense._measure(problem, Plan(), training=True))
    assert {"red", "not measured"}.isdisjoint(record)
    low, median, high = record["against torch"]
    assert 0 < low <= median <= high
    assert len(record["seconds"][peers.LONGSPAN]) == 3
    assert json.loads(json.dumps(record)) == record


def test_a_slow_peer_is_called_once_and_no_more() -> None:
    calls = {"fast": 0, "slow": 0}

    def fast() -> None:
        calls["fast"] += 1

    def slow() -> None:
        calls["slow"] += 1
        torch.randn(300, 300).svd()

    found = contest({"fast": fast, "slow": slow}, SHORT, optional=["slow"])
    assert calls["slow"] == 2  # one to warm up
    assert set(found.seconds) == {"fast"}
    assert found.speedup("fast", "slow")[0] > 1


def test_ratios_are_taken_round_by_round() -> None:
    found = Contest({"ours": [1.0, 2.0, 4.0], "theirs": [2.0, 4.0, 8.0]})
    assert found.speedup("ours", "theirs") == [2.0, 2.0, 2.0]
    assert found.fastest(["ours", "theirs", "absent"]) == "ours"


def records(ratio: float, **changes: Any) -> list[dict[str, Any]]:
    sizes = {"B": 1, "T": 2, "I": 3, "H": 64}
    quartiles = [ratio * factor for factor in (0.9, 1.0, 1.1)]
    return [{"case": dense.TRAINING, **sizes, "against torch": quartiles, "share of the product": quartiles, **changes}]


def verdicts(found: list[dict[str, Any]]) -> dict[str, bool | None]:
    return {goal.goal.partition(":")[0]: goal.reached for goal in goals(found)}


def test_goals_are_reached_or_not() -> None:
    key = "against torch, geometric mean"
    assert verdicts(records(2.0))[key] is True
    assert verdicts(records(1.8))[key] is False
    assert verdicts(records(0.95))["against torch"] is True  # within the noise
    assert verdicts(records(0.8))["against torch"] is False
    assert verdicts(records(0.5))["H=64"] is False
    assert verdicts(records(2.0))["H=32"] is None


def test_a_goal_whose_case_is_red_is_not_reached() -> None:
    assert set(verdicts(records(2.0) + records(2.0, red="off")).values()) == {None}


def test_what_is_not_there_is_said() -> None:
    def absent() -> dict[str, Any]:
        raise NotThereError("no such mode")

    record = measured("memory kept", {"path": "x"}, absent)
    assert record["not measured"] == "no such mode"
    assert "no such mode" in "\n".join(report.case_table([record]))


def test_masks_that_cannot_be_seen_are_red(monkeypatch: pytest.MonkeyPatch) -> None:
    problem = Problem(2, 3, 1, 4)
    module = variants._layer(problem, "zoneout")
    data = draw(problem)
    monkeypatch.setattr(module, "_zoneout", lambda *_: None)
    with pytest.raises(RedCheckError, match="cannot be compared"):
        variants._check(module, data, data.grad, torch.float64)
    assert isinstance(variants._eager(module, torch.float32), eager.EagerLSTM)


@pytest.mark.parametrize("name", ["amd-epyc", "intel-xeon"])
def test_published_tables_show_the_published_numbers(name: str, tmp_path: Path) -> None:
    result = published.read()[name]
    assert name == published.name_of(result["machine"]["processor"])
    assert (published.FOLDER / f"{name}.md").read_text("utf-8") == report.page(result)
    assert result["goals"] == json.loads(json.dumps([goal._asdict() for goal in goals(result["records"])]))
    assert not {"host", "path", "node"} & set(result["machine"])
    picture.draw(result).savefig(tmp_path / "roofline.svg")


def test_the_roofline_shows_both_contestants() -> None:
    roof_record = {"case": roofs.CASE, "GF/s, float32": [90.0, 100.0, 110.0], "GB/s": [9.0, 10.0, 11.0]}
    (record,) = records(2.0, **{"GF/s": 50.0, "GF/s of torch": 25.0})
    (axes,) = picture.draw({"machine": {"processor": "any"}, "records": [roof_record, record]}).axes
    heights = {float(points.get_offsets()[0, 1]) for points in axes.collections if len(points.get_offsets())}
    assert heights == {25.0, 50.0}
    roof = axes.lines[0].get_ydata()
    assert (roof.min(), roof.max()) == (10.0, 100.0)
