"""The progress bar: on standard error only, and gone when training is over."""

import copy
import pickle

import pytest

from longspan.training import ProgressBar


def run(bar: ProgressBar, *, reason: str = "max_epochs") -> None:
    bar.on_start(2, 3)
    for epoch in (1, 2):
        for _ in range(3):
            bar.on_step()
        bar.on_epoch({"epoch": epoch, "loss": 0.5 / epoch, "validation_loss": 0.75 / epoch, "validation_accuracy": 0.9})
    bar.on_end(reason)


def test_the_bar_shows_the_figures_of_the_last_epoch_on_standard_error(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    run(ProgressBar("LSTMClassifier (lstm)"))
    out, err = capfd.readouterr()
    assert out == ""
    for text in ("LSTMClassifier (lstm)", "100%", "epoch 2/2", "loss 0.25", "validation 0.375", "accuracy 0.900"):
        assert text in err


def test_the_bar_says_why_training_ended_early(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    run(ProgressBar("title"), reason="no_improvement")
    assert "title (no improvement)" in capfd.readouterr().err


def test_a_bar_can_be_used_again_copied_and_pickled(capfd: pytest.CaptureFixture[str]) -> None:
    bar = ProgressBar("title")
    run(bar)
    run(copy.deepcopy(bar))
    run(pickle.loads(pickle.dumps(bar)))
    assert capfd.readouterr().err.count("100%") == 3
