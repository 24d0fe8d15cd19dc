"""What is in the file: everything it needs, nothing that it should not run, and no more than it may weigh."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from longspan import LSTMClassifier
from longspan.errors import DataFileNotFoundError
from longspan.memory import Curves, Example, LagCurve, memory_report
from longspan.memory.page import _explorer as explorer
from longspan.memory.page import _payload, write
from longspan.memory.page._payload import describe, spaced, split_advice
from longspan.memory.page._traces import trace_cells
from longspan.tasks import NetworkConfig, SequenceNetwork
from tests.estimators.small import ragged, signs
from tests.memory.page.reports import a_network, a_report, fitted

HOSTILE = "</script><script>alert(1)</script><!-- & \u2028 \"'"


class Document(HTMLParser):
    """The elements of a page, and the text of its scripts."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.scripts: list[tuple[dict[str, Any], str]] = []
        self.tags: list[tuple[str, dict[str, Any]]] = []
        self._script: dict[str, Any] | None = None
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._script = dict(attrs) if tag == "script" else None

    def handle_data(self, data: str) -> None:
        if self._script is not None:
            self.scripts.append((self._script, data))
            self._script = None


def payload_of(path: Path) -> dict[str, Any]:
    found = [text for attributes, text in Document(path.read_text("utf-8")).scripts if attributes.get("id") == "report"]
    payload: dict[str, Any] = json.loads(found[0])
    return payload


@pytest.fixture(scope="module")
def model() -> Any:
    return fitted()


def test_write_returns_the_path_of_one_file(tmp_path: Path, model: Any) -> None:
    target = tmp_path / "report.html"
    assert write(a_report(model), str(target)) == target
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]


def test_a_page_replaces_the_one_before(tmp_path: Path, model: Any) -> None:
    target = tmp_path / "report.html"
    target.write_text("old")
    write(a_report(model), target)
    assert target.read_text("utf-8").startswith("<!doctype html>")


def test_a_folder_that_is_not_there_is_named(tmp_path: Path, model: Any) -> None:
    with pytest.raises(DataFileNotFoundError, match="nowhere"):
        write(a_report(model), tmp_path / "nowhere" / "report.html")


def test_the_report_writes_itself(tmp_path: Path, model: Any) -> None:
    assert a_report(model).to_html(tmp_path / "report.html").exists()


def test_the_page_asks_for_nothing_from_elsewhere(tmp_path: Path, model: Any) -> None:
    text = write(a_report(model), tmp_path / "report.html").read_text("utf-8")
    document = Document(text)
    for _, attributes in document.tags:
        assert "src" not in attributes
        assert attributes.get("href", "#").startswith("#")
    policy = next(attributes["content"] for tag, attributes in document.tags if "http-equiv" in attributes)
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    assert "unsafe-inline" not in policy.split("style-src")[0]
    assert re.findall(r"url\((?!data:)", text.split("</style>")[0]) == []


def test_text_from_people_stays_text(tmp_path: Path) -> None:
    X = ragged()
    y = np.where(signs(X), HOSTILE, "plain")
    curves = a_report(fitted(X=X, y=y)).curves
    report = a_report(
        fitted(X=X, y=y),
        X,
        y,
        curves=curves,
        advice=f"It says {HOSTILE} here. And {HOSTILE}.",
        facts=a_report(fitted(X=X, y=y)).facts | {"estimator": HOSTILE, "feature_names": [HOSTILE, "b"]},
    )
    path = write(report, tmp_path / "report.html")
    document = Document(path.read_text("utf-8"))
    assert len(document.scripts) == 2
    assert not any("alert(1)" in text for attributes, text in document.scripts if "type" not in attributes)
    payload = payload_of(path)
    assert payload["explorer"]["answers"] == sorted(["plain", HOSTILE])
    assert payload["explorer"]["channels"] == [HOSTILE, "b"]


def test_licences_go_along(tmp_path: Path, model: Any) -> None:
    text = write(a_report(model), tmp_path / "report.html").read_text("utf-8")
    for words in ("Copyright (c) 2022 Leon Sorokin", "SIL OPEN FONT LICENSE", "The Inter Project Authors"):
        assert words in text


def test_the_first_sentence_of_the_advice_is_the_headline() -> None:
    for advice, headline, rest in (
        ("It works. Leave it.", "It works.", "Leave it."),
        ("Only 3.5 steps count.", "Only 3.5 steps count.", ""),
        ("Set clip_norm=1.0. then go on", "Set clip_norm=1.0. then go on", ""),
        ("", "", ""),
    ):
        assert split_advice(advice) == (headline, rest)


# Curves ---------------------------------------------------------------------------------------------------------------


def test_long_curves_keep_their_first_points_and_their_last() -> None:
    kept = spaced(100_000)
    assert len(kept) <= 400
    np.testing.assert_array_equal(kept[:200], np.arange(200))
    assert kept[-1] == 99_999
    np.testing.assert_array_equal(spaced(300), np.arange(300))


def test_curves_and_spans_are_plain_json(model: Any) -> None:
    lags = np.arange(3)
    odd = LagCurve(lags, np.array([1.0, np.inf, np.nan]), np.zeros(3), np.ones(3), np.ones(3), lags, "h")
    report = a_report(model, curves=Curves(gradient=odd), used_span=np.inf, intervals={"used_span": (4.0, np.inf)})
    payload = describe(report)
    json.dumps(payload, allow_nan=False)
    assert payload["curves"]["gradient"]["median"] == [1.0, None, None]
    used = next(span for span in payload["spans"] if span["name"] == "used_span")
    assert used["steps"] is None
    assert used["endless"]
    assert (used["low"], used["high"]) == (4.0, None)


def test_siblings_are_an_lstm_a_gru_and_an_rnn_before_training(model: Any) -> None:
    report = a_report(model)
    siblings = {sibling["cell"]: sibling for sibling in describe(report)["siblings"]}
    assert list(siblings) == ["lstm", "gru", "rnn"]
    assert report.curves.gradient_at_init is not None
    np.testing.assert_allclose(siblings["lstm"]["median"], report.curves.gradient_at_init.median, rtol=1e-5)
    for cell in ("gru", "rnn"):
        assert siblings[cell]["median"][0] == 1.0
        assert siblings[cell]["lags"][-1] >= 4
    assert describe(report)["siblings"] == describe(report)["siblings"]


# Walking through sequences --------------------------------------------------------------------------------------------


def test_the_explorer_has_answers_and_truth_of_the_examples() -> None:
    X = ragged()
    y = np.where(signs(X), "up", "down")
    model = fitted(X=X, y=y)
    found = explorer.explore(a_report(model, X, y))
    assert isinstance(found, dict)
    assert found["answers"] == ["down", "up"]
    assert [example["target"] for example in found["examples"]] == y[:3].tolist()
    assert [example["predicted"] for example in found["examples"]] == model.predict(X[:3]).tolist()
    assert [example["truth"] for example in found["examples"]] == [[int(label == "up")] for label in y[:3]]


def test_targets_of_steps_are_drawn_at_their_steps() -> None:
    X = ragged()
    y = [x.sum(axis=1) for x in X]
    found = explorer.explore(a_report(fitted("regress", X=X, y=y, per_step=True), X, y))
    assert isinstance(found, dict)
    assert found["perStep"]
    np.testing.assert_allclose(found["examples"][0]["truth"], y[0][:, None])
    assert found["examples"][0]["target"] is None


@pytest.mark.parametrize("kind", ["regress", "encode"])
def test_other_estimators_are_explored_too(kind: str) -> None:
    X = ragged()
    found = explorer.explore(a_report(fitted(kind, X=X), X))
    assert isinstance(found, dict)
    assert found["answers"] == {"regress": ["output"], "encode": [f"latent {k}" for k in range(1, 17)]}[kind]
    assert all(example["truth"] is None for example in found["examples"])


def test_a_bare_network_is_explored_by_its_outputs() -> None:
    network = SequenceNetwork(NetworkConfig(input_size=2, output_size=2, hidden_size=3)).eval()
    report = a_report(fitted(), facts={"estimator": "SequenceNetwork", "cell": "lstm"}, estimator=network)
    found = explorer.explore(report)
    assert isinstance(found, dict)
    assert found["answers"] == ["output 1", "output 2"]


def test_what_cannot_be_explored_is_said(model: Any) -> None:
    assert "No sequences were kept" in str(explorer.explore(a_report(model, examples=())))
    assert "object works in another way" in str(explorer.explore(a_report(model, estimator=object())))


def test_units_come_in_the_order_of_their_time_constants(model: Any) -> None:
    report = a_report(model)
    found = explorer.explore(report)
    assert isinstance(found, dict)
    assert report.curves.time_constants is not None
    for part, units in enumerate(found["units"]):
        constants = report.curves.time_constants.tau.reshape(2, -1)[part]
        assert sorted(units) == [0, 1, 2]
        assert (np.diff(constants[units]) <= 0).all()


def test_large_networks_and_long_sequences_are_recorded_not_computed() -> None:
    def example(steps: int) -> tuple[Example, ...]:
        return (Example(np.zeros((steps, 2), np.float32), None, 0),)

    small, large = a_network(), a_network(hidden_size=160)
    assert explorer.why_not_live(small, example(1_000)) is None
    assert "smaller networks" in str(explorer.why_not_live(large, example(10)))
    assert "1,001 steps" in str(explorer.why_not_live(small, example(1_001)))
    assert "at once" in str(explorer.why_not_live(a_network(hidden_size=100), example(1_000)))


def test_recorded_gates_are_those_of_the_network(model: Any) -> None:
    values = np.random.default_rng(0).normal(size=(1_200, 2)).astype(np.float32)
    network = a_network().float()
    found = explorer.explore(a_report(model, estimator=network, examples=(Example(values, None, 0),)))
    assert isinstance(found, dict)
    assert found["network"] is None
    cell = found["examples"][0]["cells"][1]
    assert cell["backward"]
    assert len(cell["columns"]) == 1_000
    trace = trace_cells(network, values)[1].fields["f"]
    packed = cell["fields"]["f"]
    assert packed["shape"] == [1_000, 3]
    assert packed["type"] == "u2"
    shown = trace[cell["columns"]][:, found["units"][1]]
    assert (packed["low"], packed["high"]) == (shown.min(), shown.max())


def test_a_large_network_with_long_sequences_makes_a_page_of_less_than_three_megabytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_payload, "untrained_siblings", lambda report: [])  # they take long here, and weigh little
    rng = np.random.default_rng(0)
    X = [rng.normal(size=(1_500, 12)).astype(np.float32) for _ in range(6)]
    y = np.arange(6) % 2
    model = LSTMClassifier(hidden_size=150, stem=None, max_epochs=1, num_layers=2, random_state=0)
    model.fit([x[:5] for x in X], y)
    report = a_report(model, X, y, examples=tuple(Example(x, label, 0) for x, label in zip(X[:4], y[:4], strict=True)))
    assert write(report, tmp_path / "report.html").stat().st_size < 3_000_000


def test_a_measured_report_makes_a_page(tmp_path: Path) -> None:
    X = ragged(40)
    y = signs(X)
    report = memory_report(fitted(X=X, y=y), X, y, lag=5)
    payload = payload_of(report.to_html(tmp_path / "report.html"))
    assert payload["verdict"] == report.verdict
    assert payload["needed"] == 5
    assert payload["headline"] + (" " + payload["advice"] if payload["advice"] else "") == report.advice
