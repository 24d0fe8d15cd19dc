"""LSTMEncoder: numbers out of sequences, sequences out of numbers, and how normal a sequence is."""

from typing import Any

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, KFold, cross_val_score
from sklearn.pipeline import make_pipeline

from longspan import LSTMEncoder, Sequences, load
from longspan.errors import (
    DataError,
    EmptyDataError,
    ModelFileError,
    NonFiniteError,
    ParameterError,
    ShapeError,
    TrainingWarning,
)
from longspan.io import read_model, write_model
from tests.estimators.small import assert_same_bits, encoder, ragged, signs

X = ragged()
BLOCK = np.random.default_rng(0).normal(size=(12, 6, 2))
GAPS = [np.where(np.arange(len(x))[:, None] == 1, np.nan, x) for x in X]


@pytest.fixture(scope="module")
def fitted() -> LSTMEncoder:
    return encoder().fit(X)


@pytest.fixture(scope="module")
def variational() -> LSTMEncoder:
    return encoder(variational=True).fit(X)


def waves(count: int = 40, seed: int = 0) -> list[np.ndarray]:
    """Two channels that go along with each other: a sine of any phase and length, and its mirror image."""
    rng = np.random.default_rng(seed)
    found = []
    for length in rng.integers(12, 25, size=count):
        wave = np.sin(np.arange(length) / 3 + rng.uniform(0, 6))
        found.append(np.stack([wave, -wave], axis=1) * 10 + 5)
    return found


@pytest.fixture(scope="module")
def of_waves() -> LSTMEncoder:
    return LSTMEncoder(4, hidden_size=12, max_epochs=50, batch_size=20, lr=0.02, random_state=0).fit(waves())


# There and back ---------------------------------------------------------------------------------------------------


def test_a_latent_of_a_sequence_does_not_depend_on_its_neighbours(fitted: LSTMEncoder) -> None:
    together = fitted.transform(X)
    assert together.shape == (24, 2)
    assert together.dtype == np.float64
    alone = np.concatenate([fitted.transform([x]) for x in X])
    np.testing.assert_allclose(alone, together, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(fitted.score_samples(X[3:4]), fitted.score_samples(X)[3:4], rtol=1e-4, atol=1e-5)


def test_what_is_reconstructed_is_what_is_decoded_from_the_latents(fitted: LSTMEncoder) -> None:
    decoded = fitted.inverse_transform(fitted.transform(X), lengths=[len(x) for x in X])
    for ours, theirs, x in zip(decoded, fitted.reconstruct(X), X, strict=True):
        assert ours.shape == x.shape
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5)


def test_sequences_come_back_in_their_own_units(of_waves: LSTMEncoder) -> None:
    new = waves(20, seed=1)
    given = of_waves.reconstruct(new)
    error = np.concatenate([(x - y) ** 2 for x, y in zip(new, given, strict=True)])
    assert error.mean() < 0.25 * np.concatenate(new).var()
    assert of_waves.score(new) > 0.75


def test_the_error_of_a_step_is_the_squared_distance_of_standardised_channels(fitted: LSTMEncoder) -> None:
    rows = np.concatenate(X)
    scale = rows.std(axis=0)
    for x, given, error in zip(X, fitted.reconstruct(X), fitted.reconstruction_error(X), strict=True):
        np.testing.assert_allclose(error, (((x - given) / scale) ** 2).mean(axis=1), rtol=1e-3, atol=1e-5)
    errors = np.concatenate(fitted.reconstruction_error(X))
    np.testing.assert_allclose(fitted.score(X), 1 - errors.mean(), rtol=1e-6)


def test_forms_of_the_results_follow_the_forms_of_the_input(fitted: LSTMEncoder) -> None:
    assert fitted.reconstruct(BLOCK).shape == (12, 6, 2)
    assert fitted.reconstruction_error(BLOCK).shape == (12, 6)
    assert isinstance(fitted.reconstruct(list(BLOCK)), list)
    Z = fitted.transform(X)
    assert fitted.inverse_transform(Z, lengths=5).shape == (24, 5, 2)
    assert [len(x) for x in fitted.inverse_transform(Z[:2], lengths=[1, 40])] == [1, 40]
    assert encoder().fit(BLOCK).inverse_transform(Z).shape == (24, 6, 2)
    table = encoder().fit(BLOCK[:, :, 0])
    assert table.inverse_transform(table.transform(BLOCK[:, :, 0])).shape == (12, 6)
    assert table.reconstruct(BLOCK[:, :, 0]).shape == (12, 6)


@pytest.mark.parametrize(("cell", "layers"), [("lstm", 2), ("rnn", 1), ("gru", 2), ("feedforward", 1)])
def test_every_cell_learns(cell: str, layers: int) -> None:
    quick = {"hidden_size": 8, "max_epochs": 30, "batch_size": 20, "lr": 0.02, "random_state": 0}
    learned = LSTMEncoder(4, cell=cell, num_layers=layers, window=4, **quick).fit(waves(40))
    assert learned.score(waves(20, seed=1)) > 0.3
    assert learned.history_[-1]["loss"] < learned.history_[0]["loss"]


def test_other_cells_can_have_as_many_parameters() -> None:
    sizes = [
        sum(p.numel() for p in encoder(cell=cell, match_parameters=True, hidden_size=8).fit(X).network_.parameters())
        for cell in ("lstm", "gru", "rnn")
    ]
    assert max(sizes) / min(sizes) < 1.1


# How normal -------------------------------------------------------------------------------------------------------


def test_one_channel_out_of_order_is_noticed(of_waves: LSTMEncoder) -> None:
    rng, new = np.random.default_rng(0), waves(40, seed=2)
    for channel in (0, 1):
        shuffled = [x.copy() for x in new]
        for x in shuffled:
            x[:, channel] = rng.permutation(x[:, channel])
        assert of_waves.score_samples(shuffled).max() < np.quantile(of_waves.score_samples(new), 0.1)


def test_scores_are_those_of_a_plain_loop(fitted: LSTMEncoder) -> None:
    """The score from residuals of one sequence at a time, in NumPy, measured anew on the training sequences."""
    rows = np.concatenate(X)
    residuals = [(x - y) / rows.std(axis=0) for x, y in zip(X, fitted.reconstruct(X), strict=True)]
    now, past = (np.concatenate([r[part] for r in residuals]) for part in (slice(1, None), slice(None, -1)))
    persistence = (now * past).sum(axis=0) / (past * past).sum(axis=0)

    def precision(centred: np.ndarray) -> np.ndarray:
        covariance = centred.T @ centred / len(centred)
        shrunk = 0.95 * covariance + 0.05 * np.diag(np.diag(covariance)) + 1e-4 * np.eye(2)
        inverse = np.linalg.inv(shrunk)
        return inverse / np.sqrt(np.diag(inverse))

    innovation, first = precision(now - persistence * past), precision(np.concatenate(residuals))
    logs = []
    for r in residuals:
        surprises = [r[0] @ first] + [(r[t] - persistence * r[t - 1]) @ innovation for t in range(1, len(r))]
        logs.append(np.log(np.mean(np.square(surprises), axis=0) + 1e-6))
    deviations = (np.array(logs) - np.mean(logs, axis=0)) / np.std(logs, axis=0)
    np.testing.assert_allclose(fitted.score_samples(X), -deviations.max(axis=1), rtol=2e-3, atol=2e-3)


def test_scores_of_the_training_sequences_are_measured_with_their_weights() -> None:
    weights = np.arange(24) % 3
    weighted, repeated = (
        encoder().fit(X, sample_weight=weights),
        encoder().fit([X[i] for i in np.repeat(np.arange(24), weights)]),
    )
    assert_same_bits(weighted, repeated)


def test_a_single_sequence_and_single_steps_have_scores() -> None:
    alone = encoder().fit(X[:1])
    assert np.isfinite(alone.score_samples(X)).all()
    steps = encoder().fit([x[:1] for x in X])
    assert np.isfinite(steps.score_samples(X)).all()


def test_a_channel_that_never_changed_is_noticed_when_it_does() -> None:
    flat = [np.concatenate([x, np.full((len(x), 1), 3.0)], axis=1) for x in X]
    learned = encoder().fit(flat)
    moved = [x.copy() for x in flat]
    for x in moved:
        x[-1, 2] = 4.0
    assert (learned.score_samples(moved) < learned.score_samples(flat) - 1).all()


# Missing values ---------------------------------------------------------------------------------------------------


def test_what_is_missing_is_neither_asked_for_nor_scored() -> None:
    learned = encoder(missing="indicator").fit(GAPS)
    assert learned.network_.config.input_size == 6
    assert learned.inverse_transform(learned.transform(GAPS), 4).shape == (24, 4, 2)
    errors = learned.reconstruction_error(GAPS)
    assert all(np.isnan(error[1]) and np.isfinite(np.delete(error, 1)).all() for error in errors)
    assert np.isfinite(learned.score_samples(GAPS)).all()
    np.testing.assert_allclose(learned.score(GAPS), 1 - np.nanmean(np.concatenate(errors)), rtol=1e-5)
    unseen = [np.column_stack([x[:, 0], np.full(len(x), np.nan)]) for x in X]
    assert np.isfinite(learned.score_samples(unseen)).all()
    assert all(np.isfinite(given).all() for given in learned.reconstruct(unseen))


# Variational ------------------------------------------------------------------------------------------------------


def test_samples_come_from_the_decoder(variational: LSTMEncoder) -> None:
    drawn = variational.sample(5, lengths=[1, 2, 3, 4, 5], random_state=3)
    Z = np.random.RandomState(3).standard_normal((5, 2))
    for ours, theirs in zip(drawn, variational.inverse_transform(Z, [1, 2, 3, 4, 5]), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert variational.sample(3, lengths=7).shape == (3, 7, 2)
    lengths = {len(x) for x in variational.sample(200, random_state=0)}
    assert lengths == {len(x) for x in X}
    assert encoder(variational=True).fit(BLOCK).sample(2).shape == (2, 6, 2)


def test_latents_of_a_variational_encoder_are_near_the_standard_normal() -> None:
    learned = LSTMEncoder(4, variational=True, hidden_size=12, max_epochs=50, batch_size=20, lr=0.02, random_state=0)
    learned.fit(waves())
    Z = learned.transform(waves(100, seed=1))
    assert 0.3 < Z.std() < 1.5
    assert np.abs(Z.mean(axis=0)).max() < 0.6
    assert learned.score(waves(20, seed=1)) > 0.5
    assert_same_values(learned.transform(X[:1]), learned.transform(X[:1]))
    drawn = np.concatenate(learned.sample(100, random_state=0))
    np.testing.assert_allclose(drawn.mean(axis=0), 5, atol=3)
    assert np.corrcoef(drawn.T)[0, 1] < -0.8  # one channel mirrors the other


def assert_same_values(one: Any, other: Any) -> None:
    np.testing.assert_array_equal(one, other)


def test_a_plain_encoder_cannot_sample(fitted: LSTMEncoder) -> None:
    with pytest.raises(ParameterError, match="variational=True"):
        fitted.sample()


# Going on ---------------------------------------------------------------------------------------------------------


def test_a_fit_reproduces_and_is_silent(fitted: LSTMEncoder, capfd: pytest.CaptureFixture[str]) -> None:
    before = torch.random.get_rng_state()
    assert_same_bits(encoder().fit(X), fitted)
    assert torch.equal(before, torch.random.get_rng_state())
    assert capfd.readouterr() == ("", "")


def test_warm_start_goes_on() -> None:
    learned = encoder(warm_start=True).fit(X)
    first = learned.history_[-1]["loss"]
    for _ in range(3):
        learned.fit(X)
    assert learned.history_[-1]["loss"] < first
    with pytest.raises(ParameterError, match="warm_start"):
        learned.set_params(latent_size=3).fit(X)
    assert learned.network_.config.output_size == 2


def test_passes_go_on_and_know_all_lengths() -> None:
    learned = encoder().partial_fit(X[:12])
    for _ in range(10):
        learned.partial_fit(X[12:])
    assert learned.history_[-1]["loss"] < learned.history_[1]["loss"]
    assert len(learned.history_) == 11
    assert {*learned.training_lengths_.tolist()} == {len(x) for x in X}


def test_an_interrupted_fit_keeps_what_there_is(monkeypatch: pytest.MonkeyPatch) -> None:
    from longspan.training import Trainer

    epoch = Trainer.epoch

    def interrupted(self: Any, *args: Any, **kwargs: Any) -> Any:
        if len(self.history) == 2:
            raise KeyboardInterrupt
        return epoch(self, *args, **kwargs)

    monkeypatch.setattr(Trainer, "epoch", interrupted)
    with pytest.warns(TrainingWarning, match="interrupted"):
        learned = encoder().fit(X)
    assert learned.stop_reason_ == "interrupted"
    assert np.isfinite(learned.score_samples(X)).all()
    assert (learned.network_.residuals.level != 0).all()


def test_a_failed_fit_loses_nothing(fitted: LSTMEncoder) -> None:
    Z = fitted.transform(X)
    with pytest.raises(NonFiniteError):
        fitted.fit([np.full((3, 2), np.nan)])
    np.testing.assert_array_equal(fitted.transform(X), Z)


def test_epochs_are_chosen_on_what_is_held_out() -> None:
    learned = encoder(validation_folds=2).fit(X)
    assert all({"validation_loss"} <= record.keys() for record in learned.history_)
    held = encoder(validation_fraction=0.25).fit(X)
    assert all({"validation_loss", "validation_error"} <= record.keys() for record in held.history_)


# What cannot be ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("Z", "lengths", "error", "words"),
    [
        (np.zeros((3, 5)), 4, ShapeError, r"\(3, 5\).*2 numbers"),
        (np.zeros(2), 4, ShapeError, r"pass \[Z\]"),
        (np.zeros((3, 2, 1)), 4, ShapeError, "expected"),
        (np.zeros((0, 2)), 4, EmptyDataError, "no rows"),
        ([[0.0, np.nan]], 4, NonFiniteError, "row 0"),
        ([["a", "b"]], 4, DataError, "numbers"),
        (np.zeros((3, 2)), None, ParameterError, "from 3 to 8 steps"),
        (np.zeros((3, 2)), [1, 2], ShapeError, "3 sequences"),
        (np.zeros((3, 2)), [1, 0, 2], EmptyDataError, "sequence 1 is 0"),
        (np.zeros((3, 2)), 0, EmptyDataError, "is 0"),
        (np.zeros((3, 2)), -4, EmptyDataError, "is -4"),
        (np.zeros((3, 2)), 4.5, DataError, "whole"),
        (np.zeros((3, 2)), [True, True, True], DataError, "whole"),
        (np.zeros((3, 2)), "4", DataError, "whole"),
        (np.zeros((3, 2)), [[1, 2, 3]], ShapeError, "one for each"),
    ],
)
def test_numbers_and_lengths_that_cannot_be(
    fitted: LSTMEncoder, Z: Any, lengths: Any, error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        fitted.inverse_transform(Z, lengths)


@pytest.mark.parametrize(
    ("data", "error"),
    [
        ([], EmptyDataError),
        ([np.zeros((0, 2))], EmptyDataError),
        (GAPS, NonFiniteError),
        ([np.zeros((3, 2)), np.zeros((3, 4))], ShapeError),
        (None, DataError),
    ],
    ids=["none", "no steps", "NaN", "features differ", "nothing"],
)
def test_sequences_that_cannot_be(fitted: LSTMEncoder, data: Any, error: type[Exception]) -> None:
    for method in (encoder().fit, encoder().partial_fit, fitted.transform, fitted.score_samples, fitted.reconstruct):
        with pytest.raises(error):
            method(data)


def test_other_features_than_those_of_the_fit(fitted: LSTMEncoder) -> None:
    for method in (fitted.transform, fitted.reconstruct, fitted.reconstruction_error, fitted.score, fitted.partial_fit):
        with pytest.raises(ShapeError, match="3 features"):
            method([np.zeros((4, 3))])


@pytest.mark.parametrize(
    "parameters",
    [
        {"latent_size": 0},
        {"latent_size": 2.5},
        {"variational": "yes"},
        {"beta": -1},
        {"beta": None},
        {"cell": "transformer"},
        {"pooling": "first"},
    ],
    ids=str,
)
def test_parameters_that_cannot_be(parameters: dict[str, Any]) -> None:
    with pytest.raises(ParameterError, match=next(iter(parameters))):
        encoder(**parameters).fit(X)


def test_nothing_works_before_a_fit() -> None:
    new = encoder()
    for name in ("transform", "reconstruct", "reconstruction_error", "score_samples", "score", "get_feature_names_out"):
        with pytest.raises(NotFittedError):
            getattr(new, name)(*([X] if name != "get_feature_names_out" else []))
    for method in (new.sample, lambda: new.inverse_transform([[0, 0]], 3), lambda: new.save("nowhere")):
        with pytest.raises(NotFittedError):
            method()


@pytest.mark.parametrize("count", [0, -1, 1.5, "many"])
def test_how_many_samples_there_can_be(variational: LSTMEncoder, count: Any) -> None:
    with pytest.raises(ParameterError, match="n_samples"):
        variational.sample(count)


# scikit-learn -----------------------------------------------------------------------------------------------------


def test_pipelines_searches_and_clones() -> None:
    pipeline = make_pipeline(encoder(), LogisticRegression())
    scores = cross_val_score(pipeline, X, signs(X), cv=3)
    assert scores.shape == (3,)
    assert clone(encoder(5, beta=0.5)).get_params() == encoder(5, beta=0.5).get_params()
    search = GridSearchCV(encoder(), {"latent_size": [1, 3]}, cv=KFold(2)).fit(Sequences.from_list(X))
    assert search.best_params_["latent_size"] in (1, 3)
    assert search.transform(X).shape == (24, search.best_params_["latent_size"])


def test_columns_have_names(fitted: LSTMEncoder) -> None:
    assert fitted.get_feature_names_out().tolist() == ["lstmencoder0", "lstmencoder1"]
    pandas = pytest.importorskip("pandas")
    learned = encoder().set_output(transform="pandas").fit(X)
    for form in (X, BLOCK, Sequences.from_list(X)):
        frame = learned.transform(form)
        assert isinstance(frame, pandas.DataFrame)
        assert frame.columns.tolist() == ["lstmencoder0", "lstmencoder1"]


# Files ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"variational": True, "beta": 0.5},
        {"cell": "gru", "num_layers": 2},
        {"cell": "feedforward", "window": 2},
        {"missing": "indicator"},
        {"stem": (2, 1), "views": ("level", "shape")},
        {"cell_options": {"peephole": True}},
    ],
    ids=str,
)
def test_what_is_loaded_is_what_was_saved(parameters: dict[str, Any], tmp_path: Any) -> None:
    learned = encoder(**parameters).fit(X)
    learned.save(tmp_path / "model")
    loaded = load(tmp_path / "model")
    assert_same_bits(loaded, learned)
    assert loaded.get_params() == learned.get_params()
    assert loaded.recipe_ == learned.recipe_
    np.testing.assert_array_equal(loaded.transform(X), learned.transform(X))
    np.testing.assert_array_equal(loaded.score_samples(X), learned.score_samples(X))
    np.testing.assert_array_equal(loaded.training_lengths_, learned.training_lengths_)
    loaded.partial_fit(X)


def lies() -> dict[str, Any]:
    def network(**changes: Any) -> Any:
        return lambda config, tensors: config["recipe"]["network"].update(changes)

    def lengths(**changes: Any) -> Any:
        return lambda config, tensors: config["fitted"]["arrays"]["training_lengths_"].update(changes)

    return {
        "huge latents": network(output_size=10**9),
        "harmonics of text": network(harmonics="four"),
        "huge harmonics": network(harmonics=10**12),
        "other channels": network(target_size=1),
        "an output a step": network(pooling=None),
        "variational after all": network(variational=True),
        "gaps after all": network(gaps=True),
        "no lengths": lengths(values=[]),
        "lengths of zero": lengths(values=[0, 3]),
        "lengths out of order": lengths(values=[5, 3]),
        "lengths of text": lengths(dtype="<U3", values=["one"]),
        "a spread of zero": lambda config, tensors: tensors.update({"network.residuals.spread": np.zeros(2, "f4")}),
        "a scale of zero": lambda config, tensors: tensors.update({"network.encoder.views.scale": np.zeros(2, "f4")}),
        "a classifier": lambda config, tensors: config.update(estimator="LSTMClassifier"),
    }


@pytest.mark.parametrize("lie", lies().values(), ids=lies().keys())
def test_a_file_that_lies_is_refused(lie: Any, fitted: LSTMEncoder, tmp_path: Any) -> None:
    fitted.save(tmp_path / "model")
    config, tensors = read_model(tmp_path / "model")
    lie(config, tensors)
    write_model(tmp_path / "model", config, tensors)
    with pytest.raises(ModelFileError):
        load(tmp_path / "model")
