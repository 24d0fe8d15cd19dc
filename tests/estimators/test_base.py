"""What both estimators do alike: one result for one seed, silence, Ctrl-C, stopping, going on."""

import copy
import pickle
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from longspan import Sequences
from longspan.errors import LayoutWarning, ParameterError, ShapeError, TrainingError, TrainingWarning
from longspan.estimators._training_set import TargetArray, TrainingSet
from longspan.training import Trainer
from tests.estimators.small import assert_same_bits, classifier, ends, ragged, regressor, signs

X = ragged()
Maker = Callable[..., Any]
both = pytest.mark.parametrize(
    ("make", "y"), [(classifier, signs(X)), (regressor, ends(X))], ids=["classes", "numbers"]
)


# One seed, one result ---------------------------------------------------------------------------------------------


@both
@pytest.mark.parametrize(
    "parameters",
    [{}, {"validation_fraction": 0.25}, {"validation_folds": 2}, {"views": "auto", "stem": "auto"}],
    ids=["plain", "hold-out", "folds", "views"],
)
def test_neither_the_order_of_sequences_nor_the_state_of_the_world_matters(
    make: Maker, y: np.ndarray, parameters: dict[str, Any]
) -> None:
    first = make(**parameters).fit(X, y)
    torch.manual_seed(99)
    torch.rand(3)
    order = np.random.default_rng(1).permutation(len(X))
    assert_same_bits(first, make(**parameters).fit([X[i] for i in order], y[order]))


@both
@pytest.mark.parametrize("validation_fraction", [0, 0.25])
def test_a_weight_of_two_is_the_sequence_twice(make: Maker, y: np.ndarray, validation_fraction: float) -> None:
    repeats = np.random.default_rng(0).integers(0, 4, size=len(X))
    times = np.repeat(np.arange(len(X)), repeats)
    repeated = make(validation_fraction=validation_fraction).fit([X[i] for i in times], y[times])
    weighted = make(validation_fraction=validation_fraction).fit(X, y, sample_weight=repeats)
    assert_same_bits(repeated, weighted)


@both
def test_another_seed_gives_another_network(make: Maker, y: np.ndarray) -> None:
    heads = [make(random_state=seed).fit(X, y).network_.head.weight.tolist() for seed in (0, 1)]
    assert heads[0] != heads[1]


@both
def test_the_generators_of_others_are_left_alone(make: Maker, y: np.ndarray) -> None:
    torch_state, numpy_state = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002 - the global one
    make(validation_fraction=0.25).fit(X, y).predict(X)
    make().partial_fit(X, y)
    assert (torch.get_rng_state() == torch_state).all()
    assert (np.random.get_state()[1] == numpy_state).all()  # noqa: NPY002


@both
def test_a_sequence_alone_is_predicted_as_among_others(make: Maker, y: np.ndarray) -> None:
    fitted = make(views="auto", stem="auto").fit(X, y)
    predict = fitted.predict_proba if make is classifier else fitted.predict
    together = predict(X)
    alone = np.concatenate([predict([x]) for x in X])
    np.testing.assert_allclose(alone, together, rtol=1e-5, atol=1e-6)


@both
def test_among_sequences_of_its_length_a_prediction_does_not_depend_on_their_number(make: Maker, y: np.ndarray) -> None:
    block = np.random.default_rng(0).normal(size=(len(X), 6, 2))
    fitted = make().fit(block, y)
    predict = fitted.predict_proba if make is classifier else fitted.predict
    together = predict(block)
    for size in (1, 2, 3, 5, 7):
        parts = [predict(block[start : start + size]) for start in range(0, len(X), size)]
        # Far below the rounding of float32, which scikit-learn's checks of subsets need.
        np.testing.assert_allclose(np.concatenate(parts), together, rtol=0, atol=5e-8)


# What may be passed -----------------------------------------------------------------------------------------------


@both
def test_one_set_in_many_forms_is_one_set(make: Maker, y: np.ndarray, tmp_path: Path) -> None:
    values = np.random.default_rng(0).normal(size=(len(X), 5)).astype(np.float32)
    Sequences.from_array(values).save(tmp_path / "all")
    expected = make().fit(values, y)
    forms = [
        values[:, :, None],
        values.astype(np.float64),
        values.tolist(),
        list(values),
        [tuple(row) for row in values.tolist()],
        list(values[:, :, None]),
        Sequences.from_array(values),
        Sequences.load(tmp_path / "all"),
        torch.from_numpy(values),
        np.asfortranarray(values),
        values[:, ::-1][:, ::-1],
    ]
    for form in forms:
        fitted = make().fit(form, y)
        assert_same_bits(fitted, expected)
        assert fitted.predict(form).tolist() == expected.predict(values).tolist()


@both
def test_frames_are_tables_and_keep_their_column_names(make: Maker, y: np.ndarray) -> None:
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(np.random.default_rng(0).normal(size=(len(X), 4)), columns=list("abcd"))
    fitted = make().fit(frame, pandas.Series(y, index=frame.index[::-1]))
    assert fitted.feature_names_in_.tolist() == list("abcd")
    assert fitted.n_features_in_ == 4
    assert_same_bits(fitted, make().fit(frame.to_numpy(), y))
    fitted.fit(X, y)
    assert not hasattr(fitted, "feature_names_in_")


@both
def test_any_length_may_come_later(make: Maker, y: np.ndarray) -> None:
    univariate = [x[:, 0] for x in X]
    fitted = make().fit(univariate, y)
    table = np.zeros((3, 30))
    assert fitted.predict(table).shape == (3,)
    assert fitted.predict(table).tolist() == fitted.predict(list(table)).tolist()


@both
def test_a_list_of_rows_is_a_table_when_fitting_and_free_when_predicting(make: Maker, y: np.ndarray) -> None:
    table = np.random.default_rng(0).normal(size=(len(X), 4))
    fitted = make().fit(table.tolist(), y)
    assert fitted.n_features_in_ == 4
    assert fitted.predict(table[:3, :2].tolist()).shape == (3,)
    with pytest.raises(ShapeError, match="expecting 4"):
        fitted.predict(table[:, :2])


@both
def test_an_array_of_objects_is_a_list(make: Maker, y: np.ndarray) -> None:
    objects = np.empty(len(X), object)
    objects[:] = X
    assert_same_bits(make().fit(objects, y), make().fit(X, y))


@both
def test_swapped_axes_are_warned_of(make: Maker, y: np.ndarray) -> None:
    with pytest.warns(LayoutWarning, match="from_channels_first"):
        make(max_epochs=1).fit(np.random.default_rng(0).normal(size=(len(X), 3, 60)), y)


@both
def test_missing_values_are_told_to_the_network(make: Maker, y: np.ndarray) -> None:
    gaps = [x.copy() for x in X]
    for number, x in enumerate(gaps):
        x[number % len(x), number % 2] = np.nan
    fitted = make(missing="indicator").fit(gaps, y)
    assert fitted.recipe_.network.input_size == 6
    assert fitted.n_features_in_ == 2
    assert fitted.predict(gaps).shape == (len(X),)
    assert fitted.predict([np.full((4, 2), np.nan)]).shape == (1,)


# Held out ---------------------------------------------------------------------------------------------------------


@both
def test_the_scale_is_measured_on_the_training_part_only(
    make: Maker, y: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = parts_of_a_fit(monkeypatch, make(validation_fraction=0.25), X, y)
    kept, held = parts
    assert sorted([*kept, *held]) == list(range(len(X)))
    assert len(held) == 6
    fitted = make(validation_fraction=0.25).fit(X, y)
    rows = np.concatenate([np.float32(X[i]) for i in kept]).astype(float)
    np.testing.assert_allclose(fitted.network_.views.mean, rows.mean(axis=0), rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(fitted.network_.views.scale, rows.std(axis=0), rtol=1e-5)
    if make is regressor:
        np.testing.assert_allclose(fitted.target_scaler_.mean, y[kept].mean(), rtol=1e-10)
        np.testing.assert_allclose(fitted.target_scaler_.scale, y[kept].std(), rtol=1e-10)


def parts_of_a_fit(
    monkeypatch: pytest.MonkeyPatch, estimator: Any, X: Any, y: Any, **fit_parameters: Any
) -> tuple[np.ndarray, np.ndarray]:
    """Fit, and return which sequences were learned from and which held out."""
    seen = {}

    def fit(self: Trainer, training: Any, validation: Any = None) -> None:
        seen["parts"] = training.index, validation.index

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "fit", fit)
        estimator.fit(X, y, **fit_parameters)
    return seen["parts"]


@both
def test_no_group_is_on_both_sides(make: Maker, y: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    groups = np.array(list("abcdef"))[np.arange(len(X)) % 6]
    kept, held = parts_of_a_fit(monkeypatch, make(validation_fraction=0.3), X, y, groups=groups)
    assert len(held) == 8  # two of six groups
    assert not set(groups[kept]) & set(groups[held])


@both
def test_by_time_the_last_sequences_are_held_out(make: Maker, y: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    estimator = make(validation_fraction=0.25, validation_split="time")
    kept, held = parts_of_a_fit(monkeypatch, estimator, X, y)
    assert (sorted(kept), sorted(held)) == (list(range(18)), list(range(18, 24)))


@both
def test_a_copy_of_a_training_sequence_is_never_held_out(
    make: Maker, y: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept, held = parts_of_a_fit(monkeypatch, make(validation_fraction=0.5), X + X, np.concatenate([y, y]))
    assert not set(kept % len(X)) & set(held % len(X))


@both
@pytest.mark.parametrize("ema_decay", [0.0, 0.9])
def test_the_network_is_the_one_with_the_best_validation_loss(
    make: Maker, y: np.ndarray, ema_decay: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    parameters = {"validation_fraction": 0.25, "max_epochs": 30, "lr": 0.05, "ema_decay": ema_decay}
    fitted = make(**parameters).fit(X, y)
    losses = [record["validation_loss"] for record in fitted.history_]
    assert [record["epoch"] for record in fitted.history_] == list(range(1, fitted.n_iter_ + 1))
    assert fitted.best_epoch_ == int(np.argmin(losses)) + 1
    _, held = parts_of_a_fit(monkeypatch, make(**parameters), X, y)
    held_X = [X[i] for i in held]
    if make is classifier:
        chosen = fitted.predict_proba(held_X)[np.arange(len(held)), y[held].astype(int)]
        loss = -np.log(chosen).mean()
    else:
        loss = (((fitted.predict(held_X) - y[held]) / fitted.target_scaler_.scale) ** 2).mean()
    np.testing.assert_allclose(loss, min(losses), rtol=1e-4)


@both
def test_training_stops_early(make: Maker, y: np.ndarray) -> None:
    fitted = make(validation_fraction=0.25, max_epochs=100, lr=0.1, n_iter_no_change=3).fit(X, y)
    assert fitted.stop_reason_ == "no_improvement"
    assert fitted.n_iter_ == fitted.best_epoch_ + 3


@both
@pytest.mark.parametrize("parameters", [{}, {"n_iter_no_change": 1, "lr": 0.3}])
def test_folds_choose_the_number_of_epochs(make: Maker, y: np.ndarray, parameters: dict[str, Any]) -> None:
    fitted = make(validation_folds=3, max_epochs=6, **parameters).fit(X, y)
    assert fitted.recipe_.training.stop_after == fitted.n_iter_ == len(fitted.history_) <= 6
    curve = [record["validation_loss"] for record in fitted.history_]
    assert not curve or curve[-1] == min(curve)


# Trouble ----------------------------------------------------------------------------------------------------------


@both
@pytest.mark.parametrize("parameters", [{}, {"validation_fraction": 0.25}])
def test_ctrl_c_keeps_the_network_so_far(
    make: Maker, y: np.ndarray, parameters: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    epoch = Trainer.epoch

    def interrupted(self: Trainer, *args: Any, **kwargs: Any) -> Any:
        if len(self.history) == 2:
            raise KeyboardInterrupt
        return epoch(self, *args, **kwargs)

    monkeypatch.setattr(Trainer, "epoch", interrupted)
    with pytest.warns(TrainingWarning, match="interrupted in epoch 3 of 9") as warned:
        fitted = make(max_epochs=9, **parameters).fit(X, y)
    assert warned[0].filename == __file__
    assert (fitted.stop_reason_, fitted.n_iter_) == ("interrupted", 2)
    assert fitted.predict(X).shape == (len(X),)


@both
def test_ctrl_c_before_the_first_step_goes_through(make: Maker, y: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(self: Trainer, *args: Any, **kwargs: Any) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr(Trainer, "epoch", interrupted)
    estimator = make()
    with pytest.raises(KeyboardInterrupt):
        estimator.fit(X, y)
    with pytest.raises(NotFittedError):
        estimator.predict(X)


@both
def test_a_fit_that_came_to_nothing_is_an_error_and_no_fit(make: Maker, y: np.ndarray) -> None:
    estimator = make(lr=1e30, max_epochs=20)
    with pytest.raises(TrainingError, match="smaller lr"):
        estimator.fit(X, y)
    with pytest.raises(NotFittedError):
        estimator.predict(X)


@both
def test_with_validation_a_fit_that_diverges_warns(make: Maker, y: np.ndarray) -> None:
    with pytest.warns(TrainingWarning, match="not finite, and were skipped") as warned:
        fitted = make(lr=1e30, max_epochs=20, validation_fraction=0.25).fit(X, y)
    assert warned[0].filename == __file__
    assert fitted.stop_reason_ == "diverged"
    assert sum(record["skipped_steps"] for record in fitted.history_) >= 25
    assert fitted.predict(X).shape == (len(X),)


# Silence ----------------------------------------------------------------------------------------------------------


@both
def test_nothing_is_written_unasked(
    make: Maker, y: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        make(validation_fraction=0.25).fit(X, y).predict(X)
        make(views="auto", stem="auto", validation_folds=2).fit(X, y).score(X, y)
    assert capfd.readouterr() == ("", "")
    assert not warned
    assert not list(tmp_path.iterdir())


@both
def test_progress_is_shown_on_standard_error_when_asked_for(
    make: Maker, y: np.ndarray, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    estimator = make(verbose=1).fit(X, y)
    out, err = capfd.readouterr()
    assert out == ""
    assert type(estimator).__name__ in err
    assert "epoch 3/3" in err
    make(verbose=True).partial_fit(X, y).partial_fit(X, y)
    assert "epoch" in capfd.readouterr().err


# Going on ---------------------------------------------------------------------------------------------------------


@both
def test_warm_start_goes_on_with_the_weights_there_are(make: Maker, y: np.ndarray) -> None:
    estimator = make(warm_start=True, max_epochs=1, ema_decay=0.0, lr=1e-12)
    first = copy.deepcopy(estimator.fit(X, y))
    estimator.fit([x + 5 for x in X], y)
    for name, tensor in estimator.network_.state_dict().items():
        torch.testing.assert_close(tensor, first.network_.state_dict()[name], rtol=0, atol=1e-9)
    estimator.set_params(hidden_size=5)
    with pytest.raises(ParameterError, match="warm_start"):
        estimator.fit(X, y)


@both
def test_passes_one_by_one_learn(make: Maker, y: np.ndarray) -> None:
    estimator = make(lr=0.02, dropout=0.0)
    for _ in range(40):
        estimator.partial_fit(X, y)
    losses = [record["loss"] for record in estimator.history_]
    assert [record["epoch"] for record in estimator.history_] == list(range(1, 41))
    assert {record["lr"] for record in estimator.history_} == {0.02}
    assert np.mean(losses[-5:]) < 0.7 * np.mean(losses[:5])
    assert estimator.score(X, y) > 0.5


@both
def test_passes_after_a_fit_go_on_at_the_full_rate(make: Maker, y: np.ndarray) -> None:
    estimator = make(lr=0.02).partial_fit(X, y)
    estimator.fit(X, y)
    network = estimator.network_
    before = network.head.weight.detach().clone()
    estimator.partial_fit(X, y)
    assert estimator.network_ is network
    assert (network.head.weight != before).all()
    assert estimator.history_[-1]["lr"] == 0.02


@both
@pytest.mark.parametrize("copied", [copy.deepcopy, lambda fitted: pickle.loads(pickle.dumps(fitted))])
@pytest.mark.parametrize("verbose", [0, 1])
def test_copies_predict_and_go_on_to_the_same_bits(
    make: Maker, y: np.ndarray, copied: Callable[[Any], Any], verbose: int
) -> None:
    fitted = make(verbose=verbose).fit(X, y)
    assert copied(fitted).predict(X).tolist() == fitted.predict(X).tolist()
    fitted.partial_fit(X, y)
    twin = copied(fitted)
    assert_same_bits(fitted.partial_fit(X, y), twin.partial_fit(X, y))


@both
def test_a_clone_is_unfitted_and_fits_alike(make: Maker, y: np.ndarray) -> None:
    fitted = make(cell_options={"peephole": True}).fit(X, y)
    twin = clone(fitted)
    assert not hasattr(twin, "network_")
    assert_same_bits(fitted, twin.fit(X, y))


def test_fits_in_threads_do_not_disturb_each_other() -> None:
    y = signs(X)
    alone = [classifier(random_state=seed, dropout=0.5).fit(X, y).predict_proba(X) for seed in range(4)]
    with ThreadPoolExecutor(4) as pool:
        beside = list(
            pool.map(lambda seed: classifier(random_state=seed, dropout=0.5).fit(X, y).predict_proba(X), range(4))
        )
    np.testing.assert_array_equal(alone, beside)


def test_repeated_measurements_are_never_on_both_sides() -> None:
    twice = X + X
    targets = np.concatenate([ends(X), ends(X) + 1.0])  # equal values, different numbers: nothing is merged
    estimator = regressor(validation_fraction=0.3)
    everything = TrainingSet.merged(
        Sequences.from_list(twice), TargetArray(targets, per_step=False), sample_weight=None, groups=None
    )
    assert len(everything.kept) == len(twice)
    parts = [
        everything.hold_out(0.3, how="random", stratify=None, seed=0),
        *everything.folds(3, stratify=None, seed=0),
    ]
    for part in parts:
        kept, held = ({index % len(X) for index in side.tolist()} for side in (part.kept, part.held))
        assert held
        assert not kept & held
    assert estimator.fit(twice, targets).best_epoch_ >= 0


def test_to_stop_early_is_to_hold_out() -> None:
    estimator = classifier(n_iter_no_change=1, max_epochs=5, validation_fraction="auto", validation_folds="auto")
    assert estimator.fit(X, signs(X)).recipe_.validation_fraction == 0.1
    assert "validation_loss" in estimator.history_[0]
