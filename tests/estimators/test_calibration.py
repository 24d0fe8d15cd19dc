"""Temperatures against the likelihood itself, and what a calibrated classifier keeps of the one that is not."""

import copy
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from longspan import LSTMClassifier, load
from longspan.errors import ModelFileError, ParameterError, TargetError, TrainingWarning
from longspan.estimators._calibration import HeldOut, fit_temperature, negative_log_likelihood
from longspan.estimators._recipe import DataShape, choose_recipe
from longspan.io import read_model, write_model
from longspan.training import Trainer
from tests.estimators.small import TINY, assert_same_bits, ragged, signs

X = ragged(40)
y = np.where(signs(X), "up", "down")
y[::7] = "up"  # some are wrong, so that there is a best temperature
QUICK = TINY | {"max_epochs": 2, "batch_size": 20}
STEPS = [np.where(np.arange(len(x)) % 3 == 0, "up", "down") for x in X]


def calibrated(**parameters: Any) -> LSTMClassifier:
    auto = {"validation_folds": "auto", "validation_fraction": "auto", "calibrate": True}
    return LSTMClassifier(**QUICK | auto | parameters)


def plain(**parameters: Any) -> LSTMClassifier:
    return LSTMClassifier(**QUICK | parameters)


# The temperature --------------------------------------------------------------------------------------------------


def nll(held: HeldOut, temperature: float) -> float:
    """The definition, a target at a time."""
    total = 0.0
    for logits, label, weight in zip(*held, strict=True):
        scaled = [float(logit) / temperature for logit in logits]
        largest = max(scaled)
        log_sum = largest + np.log(sum(np.exp(each - largest) for each in scaled))
        total += weight * (log_sum - scaled[label])
    return total / held.weights.sum()


def noisy(count: int = 60, *, scale: float = 1.0, seed: int = 0) -> HeldOut:
    rng = np.random.default_rng(seed)
    labels = rng.integers(3, size=count)
    logits = scale * (2 * np.eye(3)[labels] + rng.normal(scale=1.5, size=(count, 3)))
    return HeldOut(logits, labels, rng.uniform(0.1, 3, size=count))


def test_likelihood_is_that_of_its_definition() -> None:
    held = noisy()
    for temperature in (0.3, 1.0, 4.0):
        assert negative_log_likelihood(held, temperature) == pytest.approx(nll(held, temperature), rel=1e-12)


@pytest.mark.parametrize("scale", [0.05, 0.5, 1.0, 3.0, 20.0])
def test_no_temperature_of_a_fine_grid_is_better(scale: float) -> None:
    held = noisy(scale=scale)
    fitted = fit_temperature(held)
    grid = fitted * np.geomspace(0.5, 2, 401)  # its middle is what was found
    values = [nll(held, temperature) for temperature in grid]
    assert np.argmin(values) == 200
    coarse = [nll(held, temperature) for temperature in np.geomspace(0.01, 100, 200)]
    assert nll(held, fitted) <= min(coarse)


def test_two_classes_that_are_right_three_times_in_four_have_a_closed_form() -> None:
    # A margin m is right with probability 3/4 where m / T = log 3.
    logits = np.tile([[2.0, 0.0]], (8, 1))
    labels = np.array([0, 0, 0, 1] * 2)
    assert fit_temperature(HeldOut(logits, labels, np.ones(8))) == pytest.approx(2 / np.log(3), rel=1e-9)
    # Of weight 5 to 1: log 5.
    weights = np.where(labels == 0, 5 / 3, 1.0)
    assert fit_temperature(HeldOut(logits, labels, weights)) == pytest.approx(2 / np.log(5), rel=1e-9)


def test_the_scale_of_logits_is_the_scale_of_the_temperature() -> None:
    held = noisy()
    threefold = held._replace(logits=3 * held.logits + 7)
    assert fit_temperature(threefold) == pytest.approx(3 * fit_temperature(held), rel=1e-9)


def test_a_weight_is_a_repetition() -> None:
    held = noisy(30)
    counts = np.arange(30) % 4 + 1
    repeated = HeldOut(*(np.repeat(array, counts, axis=0) for array in (held.logits, held.labels, np.ones(30))))
    assert fit_temperature(held._replace(weights=5.0 * counts)) == pytest.approx(fit_temperature(repeated), rel=1e-9)


def test_where_all_is_right_the_rule_of_succession_bounds_it() -> None:
    for count in (1, 10, 1000):
        logits = np.tile([[1.0, 0.0]], (count, 1))
        fitted = fit_temperature(HeldOut(logits, np.zeros(count, np.int64), np.ones(count)))
        confidence = 1 / (1 + np.exp(-1 / fitted))
        expected = max((count + 1) / (count + 2), 1 / (1 + np.exp(-1)))  # what was surer remains so
        assert confidence == pytest.approx(expected, rel=1e-9)


def test_where_all_is_wrong_and_where_nothing_is_known() -> None:
    logits = np.tile([[5.0, 0.0]], (6, 1))
    ones, wrong = np.ones(6), np.ones(6, np.int64)
    assert fit_temperature(HeldOut(logits, wrong, ones)) == pytest.approx(100)
    assert fit_temperature(HeldOut(0 * logits, wrong, ones)) == 1.0


@given(
    logits=hnp.arrays(np.float64, (9, 4), elements=st.floats(-50, 50)),
    labels=hnp.arrays(np.int64, 9, elements=st.integers(0, 3)),
    weights=hnp.arrays(np.float64, 9, elements=st.floats(1e-3, 1e3)),
)
@settings(max_examples=150, deadline=None)
def test_the_likelihood_of_what_was_held_out_never_falls(
    logits: np.ndarray, labels: np.ndarray, weights: np.ndarray
) -> None:
    held = HeldOut(logits, labels, weights)
    fitted = fit_temperature(held)
    assert 0.01 <= fitted <= 100.0000001
    before = nll(held, 1.0)
    assert nll(held, fitted) <= before + 1e-9 * (1 + before)


# The classifier ---------------------------------------------------------------------------------------------------


def test_in_turn_the_network_is_the_one_that_it_would_have_been() -> None:
    fitted = calibrated().fit(X, y)
    other = plain().fit(X, y)
    assert (fitted.recipe_.calibration_folds, other.recipe_.calibration_folds) == (4, 0)
    assert other.temperature_ == 1.0 != fitted.temperature_
    assert_same_bits(fitted, other)
    assert fitted.history_[-1]["loss"] == other.history_[-1]["loss"]
    assert fitted.predict(X).tolist() == other.predict(X).tolist()
    assert calibrated().fit(X, y).temperature_ == fitted.temperature_


def test_probabilities_are_those_of_logits_over_the_temperature() -> None:
    fitted, other = calibrated().fit(X, y), plain().fit(X, y)
    log_p = np.log(other.predict_proba(X)) / fitted.temperature_
    expected = np.exp(log_p) / np.exp(log_p).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(fitted.predict_proba(X), expected, rtol=1e-9)
    ranks = [model.predict_proba(X)[:, 1].argsort().tolist() for model in (fitted, other)]
    assert ranks[0] == ranks[1]


def by_hand(classifier: LSTMClassifier, X: list, y: np.ndarray, weights: np.ndarray, parts: list) -> float:
    """Train on one side of each split, ask for the other, fit one temperature."""
    held = []
    for kept, out in parts:
        network = copy.deepcopy(classifier).set_params(calibrate=False)
        network.fit([X[k] for k in kept], y[kept], sample_weight=weights[kept])
        logits = np.log(network.predict_proba([X[k] for k in out]))  # to a constant a row, which nothing depends on
        held.append(HeldOut(logits, np.searchsorted(network.classes_, y[out]), weights[out]))
    return fit_temperature(HeldOut.pooled(held))


@pytest.mark.parametrize("class_weight", [None, "balanced", {"up": 4.0}])
def test_folds_are_answered_by_networks_that_have_not_seen_them(
    class_weight: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights = np.linspace(0.5, 2.0, len(X))
    seen: list[tuple[np.ndarray, np.ndarray]] = []
    look = LSTMClassifier._look_at_held
    monkeypatch.setattr(
        LSTMClassifier,
        "_look_at_held",
        lambda self, part: (len(part.held) and seen.append((part.kept, part.held)), look(self, part))[1],
    )
    fitted = calibrated(class_weight=class_weight).fit(X, y, sample_weight=weights)
    if class_weight == "balanced":  # as it is over everything
        class_weight = dict(zip(fitted.classes_.tolist(), fitted.class_weights_.tolist(), strict=True))
    assert sorted(np.concatenate([held for _, held in seen]).tolist()) == list(range(len(X)))
    assert all(not set(kept) & set(held) for kept, held in seen)
    expected = by_hand(plain(class_weight=class_weight), X, y, weights, seen)
    assert fitted.temperature_ == pytest.approx(expected, rel=1e-4)


def test_a_part_that_is_held_out_is_what_it_is_fitted_on(monkeypatch: pytest.MonkeyPatch) -> None:
    parts: list[Any] = []
    look = LSTMClassifier._look_at_held
    monkeypatch.setattr(LSTMClassifier, "_look_at_held", lambda self, part: (parts.append(part), look(self, part))[1])
    fitted = calibrated(validation_fraction=0.3).fit(X, y)
    other = plain(validation_fraction=0.3).fit(X, y)
    assert_same_bits(fitted, other)
    held = parts[0].held
    assert len(held) == 12
    answers = HeldOut(
        np.log(other.predict_proba([X[k] for k in held])), np.searchsorted(other.classes_, y[held]), np.ones(12)
    )
    assert fitted.temperature_ == pytest.approx(fit_temperature(answers), rel=1e-6)


def test_folds_that_choose_the_epochs_calibrate_too() -> None:
    fitted = calibrated(validation_folds=3).fit(X, y)
    other = plain(validation_folds=3).fit(X, y)
    assert (fitted.recipe_.validation_folds, fitted.recipe_.calibration_folds) == (3, 0)
    assert_same_bits(fitted, other)
    assert fitted.temperature_ != 1.0


@pytest.mark.parametrize(
    ("count", "parameters", "expected"),
    [
        (500, {}, (0.0, 0, 4)),
        (501, {}, (0.1, 0, 0)),
        (50_000, {}, (0.02, 0, 0)),
        (50, {"validation_folds": 0}, (0.1, 0, 0)),
        (50, {"validation_fraction": 0.25}, (0.25, 0, 0)),
        (50, {"validation_folds": 5}, (0.0, 5, 0)),
        (50, {"validation_fraction": 0, "validation_folds": 5}, (0.0, 5, 0)),
        (50, {"validation_split": "time"}, (0.1, 0, 0)),
        (50, {"n_iter_no_change": 3}, (0.1, 0, 0)),
        (50, {"calibrate": False}, (0.0, 0, 0)),
    ],
)
def test_what_is_held_out(count: int, parameters: dict[str, Any], expected: tuple[float, int, int]) -> None:
    shape = DataShape(n_sequences=count, n_steps=9, longest=9, n_features=2, n_outputs=3, per_step=False)
    estimator = LSTMClassifier(**{"calibrate": True} | parameters)
    recipe = choose_recipe(estimator.get_params(deep=False), shape, estimator._choices(shape))
    assert (recipe.validation_fraction, recipe.validation_folds, recipe.calibration_folds) == expected


@pytest.mark.parametrize("folds", [0, "auto"])
def test_holding_nothing_out_is_refused(folds: Any) -> None:
    with pytest.raises(ParameterError, match="calibrate=True needs sequences"):
        calibrated(validation_fraction=0, validation_folds=folds).fit(X, y)


def test_a_pass_calibrates_nothing() -> None:
    with pytest.raises(ParameterError, match=r"calibrate=True needs sequences .* partial_fit"):
        calibrated().partial_fit(X, y)
    fitted = calibrated().fit(X, y).set_params(calibrate=False)
    assert fitted.partial_fit(X, y).temperature_ == 1.0  # another network, of which nothing is known
    assert plain().partial_fit(X, y).temperature_ == 1.0


def test_labels_a_step() -> None:
    fitted, other = calibrated(per_step=True).fit(X, STEPS), plain(per_step=True).fit(X, STEPS)
    assert_same_bits(fitted, other)
    assert fitted.temperature_ != 1.0
    (ours, theirs) = (np.concatenate(model.predict_proba(X)) for model in (fitted, other))
    log_p = np.log(theirs) / fitted.temperature_
    np.testing.assert_allclose(ours, np.exp(log_p) / np.exp(log_p).sum(axis=1, keepdims=True), rtol=1e-9)
    assert [part.shape for part in fitted.predict_proba(X)] == [(len(x), 2) for x in X]


def test_repeated_sequences_count_as_often_as_they_occur() -> None:
    counts = np.arange(len(X)) % 3 + 1
    repeated = [x for x, count in zip(X, counts, strict=True) for _ in range(count)]
    once = calibrated().fit(X, y, sample_weight=counts).temperature_
    assert calibrated().fit(repeated, np.repeat(y, counts)).temperature_ == pytest.approx(once, rel=1e-6)


def test_groups_stay_together(monkeypatch: pytest.MonkeyPatch) -> None:
    groups = np.arange(len(X)) % 5
    sides: list[tuple[set[int], set[int]]] = []
    look = LSTMClassifier._look_at_held
    monkeypatch.setattr(
        LSTMClassifier,
        "_look_at_held",
        lambda self, part: (
            len(part.held) and sides.append((set(groups[part.kept]), set(groups[part.held]))),
            look(self, part),
        )[1],
    )
    calibrated().fit(X, y, groups=groups)
    assert len(sides) == 4
    assert all(not kept & held for kept, held in sides)


def test_a_class_that_a_network_never_saw_is_left_out() -> None:
    labels = np.where(signs(X), "up", "down").astype("U5")
    labels[3] = "once"
    fitted = calibrated().fit(X, labels)
    assert 0.01 < fitted.temperature_ < 5
    with pytest.raises(TargetError, match="no sequence that was held out"):
        calibrated().fit(X, signs(X), groups=signs(X))


def test_going_on_calibrates_the_network_that_there_is() -> None:
    fitted = calibrated(warm_start=True, validation_fraction=0.3).fit(X, y)
    first, more = fitted.temperature_, ragged(40, seed=1)
    assert fitted.fit(more, np.where(signs(more), "up", "down")).temperature_ != first
    in_turn = calibrated(warm_start=True).fit(X, y)
    assert_same_bits(in_turn.fit(X, y), plain(warm_start=True).fit(X, y).fit(X, y))
    assert in_turn.set_params(calibrate=False).fit(X, y).temperature_ == 1.0


def test_interrupted_calibration_keeps_the_network(monkeypatch: pytest.MonkeyPatch) -> None:
    fit, fits = Trainer.fit, []

    def interrupted_later(self: Trainer, *batches: Any) -> None:
        fits.append(1)
        if len(fits) == 3:
            raise KeyboardInterrupt
        fit(self, *batches)

    monkeypatch.setattr(Trainer, "fit", interrupted_later)
    with pytest.warns(TrainingWarning, match="calibration was interrupted") as warned:
        fitted = calibrated().fit(X, y)
    assert warned[0].filename == __file__
    assert (fitted.temperature_, fitted.stop_reason_) == (1.0, "interrupted")
    assert_same_bits(fitted, plain().fit(X, y))


def test_a_fit_that_fails_leaves_the_temperature() -> None:
    fitted = calibrated().fit(X, y)
    before = fitted.temperature_
    with pytest.raises(TargetError):
        fitted.fit(X, np.zeros(len(X)))
    assert fitted.temperature_ == before


def test_random_numbers_of_others_are_left_alone() -> None:
    before = torch.random.get_rng_state()
    calibrated().fit(X, y)
    assert torch.equal(before, torch.random.get_rng_state())


# Files ------------------------------------------------------------------------------------------------------------


def test_the_temperature_comes_back(tmp_path: Path) -> None:
    fitted = calibrated().fit(X, y)
    fitted.save(tmp_path / "model")
    loaded = load(tmp_path / "model")
    assert (loaded.temperature_, loaded.calibrate) == (fitted.temperature_, True)
    assert loaded.recipe_ == fitted.recipe_
    assert replace(loaded.recipe_, calibration_folds=0) != loaded.recipe_
    np.testing.assert_array_equal(loaded.predict_proba(X), fitted.predict_proba(X))


def test_a_file_of_before_there_were_temperatures_loads(tmp_path: Path) -> None:
    fitted = plain().fit(X, y)
    fitted.save(tmp_path / "new")
    config, tensors = read_model(tmp_path / "new")
    del config["fitted"]["values"]["temperature_"], config["parameters"]["calibrate"]
    del config["recipe"]["calibration_folds"]
    write_model(tmp_path / "old", config, tensors)
    loaded = load(tmp_path / "old")
    assert (loaded.temperature_, loaded.calibrate, loaded.recipe_.calibration_folds) == (1.0, False, 0)
    np.testing.assert_array_equal(loaded.predict_proba(X), fitted.predict_proba(X))


@pytest.mark.parametrize("value", [0.0, -1.0, 1, "1.0", None, [1.0], True, {"float": "nan"}, {"float": "inf"}], ids=str)
def test_a_temperature_that_is_none_is_refused(value: Any, tmp_path: Path) -> None:
    plain().fit(X, y).save(tmp_path / "model")
    config, tensors = read_model(tmp_path / "model")
    config["fitted"]["values"]["temperature_"] = value
    write_model(tmp_path / "model", config, tensors)
    with pytest.raises(ModelFileError, match="temperature_"):
        load(tmp_path / "model")
