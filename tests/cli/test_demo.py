import functools
import sys
from pathlib import Path

import pytest

import longspan
from longspan.cli import demo
from longspan.estimators import LSTMClassifier
from longspan.memory import VERDICTS


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Train for two epochs only."""
    whole = LSTMClassifier.__init__

    @functools.wraps(whole)
    def short(self, *args, **values):
        whole(self, *args, **{"max_epochs": 2, "hidden_size": 8, **values})

    monkeypatch.setattr(demo, "_CELLS", ("lstm", "feedforward"))
    monkeypatch.setattr(LSTMClassifier, "__init__", short)


def test_json_picture_and_model(quick, run_json):
    found = run_json("demo", "--out", "here")
    facts = {name: found["data"][name] for name in ("train", "test", "classes", "features", "shortest", "longest")}
    assert facts == {"train": 270, "test": 370, "classes": 9, "features": 12, "shortest": 7, "longest": 29}
    assert [model["cell"] for model in found["models"]] == ["lstm", "feedforward"]
    for model in found["models"]:
        assert {"accuracy", "parameters", "seconds", "epochs"} <= set(model)
        assert model["interval"][0] < model["accuracy"] < model["interval"][1]
        assert model["verdict"] in VERDICTS
        assert 0 <= model["used_span"] <= 29
        assert 1 <= model["needed_span"] <= 29
        assert model["gradient_span"] > 0
    assert sorted(p.name for p in Path("here").iterdir()) == ["demo.png", "speaker.longspan"]
    speakers = longspan.load_japanese_vowels()
    accuracy = longspan.load("here/speaker.longspan").score(speakers.X_test, speakers.y_test)
    assert accuracy == pytest.approx(found["models"][0]["accuracy"])


def test_text_without_matplotlib(quick, run, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    result = run("demo", "--quiet")
    assert result.exit_code == 0
    assert "test accuracy" in result.stdout
    assert result.stderr.count("\n") == 1
    assert 'pip install "longspan[plots]"' in result.stderr
    assert "longspan-demo/speaker.longspan" in result.stdout
    assert [p.name for p in Path("longspan-demo").iterdir()] == ["speaker.longspan"]
