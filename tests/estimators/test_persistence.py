"""Saved and loaded: the same estimator to the bit; and files that lie are refused before they can do harm."""

import copy
import errno
import resource
import time
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from longspan import load
from longspan.errors import DataFileNotFoundError, ModelFileError, ParameterError
from longspan.io import read_model, write_model
from tests.estimators.small import assert_same_bits, classifier, ends, ragged, regressor, signs

X = ragged()
GAPS = [np.where(np.arange(len(x))[:, None] == 1, np.nan, x) for x in X]
STEPS = [x[:, 0] for x in X]
NAMES = np.array(["down", "up"])[signs(X).astype(int)]

FITS: dict[str, Callable[[], Any]] = {
    "classifier": lambda: classifier(validation_fraction=0.25).fit(X, signs(X)),
    "class weights": lambda: classifier(class_weight={"up": 2.0, "down": np.float32(0.5)}).fit(X, NAMES),
    "balanced": lambda: classifier(class_weight="balanced").fit(X, NAMES),
    "integer weights": lambda: classifier(class_weight={0: 1, 1: 2}).fit(X, signs(X).astype(int)),
    "labels a step": lambda: classifier(per_step=True).fit(X, [part > 0 for part in STEPS]),
    "gaps": lambda: classifier(missing="indicator").fit(GAPS, NAMES),
    "stem": lambda: classifier(stem=(2, 1), views=("level", "change")).fit(X, NAMES),
    "all is auto": lambda: classifier(stem="auto", views="auto", batch_size="auto").fit(X, NAMES),
    "variants": lambda: classifier(cell_options={"peephole": True, "zoneout": (0.1, 0.2)}, init="chrono").fit(X, NAMES),
    "infinite clipping": lambda: classifier(clip_norm=float("inf")).fit(X, NAMES),
    "NumPy numbers": lambda: classifier(hidden_size=np.int64(3), lr=np.float64(0.01)).fit(X, NAMES),
    "passes": lambda: classifier().partial_fit(X, NAMES),
    "regressor": lambda: regressor(validation_fraction=0.25).fit(X, ends(X)),
    "folds": lambda: regressor(validation_folds=2).fit(X, ends(X)),
    "multi-output": lambda: regressor(cell="gru").fit(X, np.stack([ends(X), -ends(X)], axis=1)),
    "numbers a step": lambda: regressor(per_step=True, cell="feedforward", window=2).fit(X, STEPS),
    "rnn": lambda: regressor(cell="rnn", match_parameters=True, missing="indicator").fit(GAPS, ends(X)),
    "table": lambda: regressor().fit(np.random.default_rng(0).normal(size=(24, 5)), ends(X)),
}


def saved(fitted: Any, folder: Path) -> Path:
    path = folder / "model.longspan"
    fitted.save(path)
    return path


def predictions(fitted: Any) -> list[Any]:
    sequences = np.random.default_rng(1).normal(size=(6, 5)) if fitted.n_sequence_features_ == 1 else X
    methods = [fitted.predict, getattr(fitted, "predict_proba", fitted.predict)]
    return [np.concatenate(result) if fitted.per_step else result for result in (m(sequences) for m in methods)]


@pytest.mark.parametrize("fit", FITS.values(), ids=FITS.keys())
def test_what_is_loaded_is_what_was_saved(fit: Callable[[], Any], tmp_path: Path) -> None:
    fitted = fit()
    loaded = load(saved(fitted, tmp_path))
    assert type(loaded) is type(fitted)
    assert loaded.get_params() == fitted.get_params()
    assert_same_bits(loaded, fitted)
    for ours, theirs in zip(predictions(loaded), predictions(fitted), strict=True):
        assert ours.dtype == theirs.dtype
        np.testing.assert_array_equal(ours, theirs)
    assert loaded.recipe_ == fitted.recipe_
    np.testing.assert_equal(loaded.history_, fitted.history_)
    kept = {name for name in vars(fitted) if name.endswith("_") and not name.startswith("__")}
    assert kept <= set(vars(loaded))
    for name in ("n_iter_", "best_epoch_", "stop_reason_", "n_features_in_"):
        assert getattr(loaded, name) == getattr(fitted, name)


@pytest.mark.parametrize(
    "labels",
    [
        np.array(["a", "longer"]),
        np.array(["a", "b"], object),
        np.array([-1, 1]),
        np.array([3, 200], np.uint8),
        np.array([0.5, 2.0]) * 2,
        np.array([False, True]),
        np.array(["ä", "日本"]),
        np.array(["2020-01-01", "2021-06-30"], "M8[D]"),
        np.array(["2020-01-01T00:00:00.000000001", "2020-01-01T00:00:00.000000002"], "M8[ns]"),
        np.array([-3, 90], "m8[m]"),
    ],
    ids=lambda labels: labels.dtype.str,
)
def test_classes_of_every_kind_come_back(labels: np.ndarray, tmp_path: Path) -> None:
    fitted = classifier().fit(X, labels[signs(X).astype(int)])
    loaded = load(saved(fitted, tmp_path))
    assert loaded.classes_.dtype == fitted.classes_.dtype
    assert loaded.classes_.tolist() == labels.tolist()
    assert loaded.score(X, labels[signs(X).astype(int)]) == fitted.score(X, labels[signs(X).astype(int)])


def test_a_generator_of_seeds_goes_on_where_it_was(tmp_path: Path) -> None:
    fitted = classifier(random_state=np.random.RandomState(3)).fit(X, NAMES)
    loaded = load(saved(fitted, tmp_path))
    assert_same_bits(fitted.fit(X, NAMES), loaded.fit(X, NAMES))


def test_column_names_come_back(tmp_path: Path) -> None:
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(np.random.default_rng(0).normal(size=(24, 3)), columns=list("abc"))
    loaded = load(saved(regressor().fit(frame, ends(X)), tmp_path))
    assert loaded.feature_names_in_.tolist() == list("abc")
    with pytest.raises(ValueError, match="feature names"):
        loaded.predict(frame[["c", "b", "a"]])


def test_notes_come_back(tmp_path: Path) -> None:
    path = tmp_path / "model"
    classifier().fit(X, NAMES).save(path, notes={"columns": ["x", "y"], "rate": 10.5})
    assert load(path).notes_ == {"columns": ["x", "y"], "rate": 10.5}


def test_a_loaded_estimator_is_as_good_as_a_fitted_one(tmp_path: Path) -> None:
    loaded = load(saved(regressor().fit(X, ends(X)), tmp_path))
    loaded.partial_fit(X, ends(X))
    loaded.fit(X, ends(X))
    copy.deepcopy(loaded).save(tmp_path / "again")
    assert_same_bits(load(tmp_path / "again"), loaded)


# Where it goes wrong ----------------------------------------------------------------------------------------------


def test_there_has_to_be_a_file_and_a_folder(tmp_path: Path) -> None:
    with pytest.raises(DataFileNotFoundError):
        load(tmp_path / "none")
    with pytest.raises(DataFileNotFoundError):
        classifier().fit(X, NAMES).save(tmp_path / "none" / "model")


def test_a_file_that_was_cut_off_is_refused(tmp_path: Path) -> None:
    path = saved(classifier().fit(X, NAMES), tmp_path)
    whole = path.read_bytes()
    assert len(whole) > 4000
    for length in range(0, len(whole), 1000):
        path.write_bytes(whole[:length])
        with pytest.raises(ModelFileError):
            load(path)


@contextmanager
def full_disk(after: int) -> Iterator[None]:
    """Let no file grow beyond so many bytes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (after, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_full_disk_leaves_the_old_file_as_it_was(tmp_path: Path) -> None:
    path = saved(classifier().fit(X, NAMES), tmp_path)
    old = path.read_bytes()
    fitted = classifier(hidden_size=16).fit(X, NAMES)
    with full_disk(after=2000), pytest.raises(OSError) as caught:
        fitted.save(path)
    assert caught.value.errno == errno.EFBIG
    assert path.read_bytes() == old
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]


# Files that lie ---------------------------------------------------------------------------------------------------

Contents = tuple[dict[str, Any], dict[str, np.ndarray]]


def network(**changes: Any) -> Callable[[Contents], None]:
    return lambda contents: contents[0]["recipe"]["network"].update(changes)


def without(*path: str) -> Callable[[Contents], None]:
    def change(contents: Contents) -> None:
        place = contents[0]
        for name in path[:-1]:
            place = place[name]
        del place[path[-1]]

    return change


def value(*path_and_value: Any) -> Callable[[Contents], None]:
    *path, last, new = path_and_value

    def change(contents: Contents) -> None:
        place = contents[0]
        for name in path:
            place = place[name]
        place[last] = new

    return change


def tensor(name: str, make: Callable[[np.ndarray], np.ndarray]) -> Callable[[Contents], None]:
    def change(contents: Contents) -> None:
        contents[1][name] = make(contents[1][name])

    return change


def array(name: str, **changes: Any) -> Callable[[Contents], None]:
    return lambda contents: contents[0]["fitted"]["arrays"][name].update(changes)


HEAD = "network.head.weight"
LIES = {
    "huge hidden size": network(hidden_size=10**9),
    "hidden size beyond integers": network(hidden_size=10**30),
    "negative hidden size": network(hidden_size=-4),
    "fractional hidden size": network(hidden_size=3.5),
    "many layers": network(num_layers=10**9),
    "layers of text": network(num_layers="two"),
    "huge window": network(cell="feedforward", window=10**12),
    "many channels": network(stem_strides=[2, 2], stem_channels=10**9),
    "huge input": network(input_size=10**12),
    "other outputs": network(output_size=3),
    "unknown cell": network(cell="elman"),
    "unknown part": network(forget=True),
    "unknown pooling": network(pooling="first"),
    "unknown variant": network(cell_options={"pepole": True}),
    "a device in the options": network(cell_options={"device": "cuda:7"}),
    "unknown estimator": value("estimator", "Pickle"),
    "estimator of another kind": value("estimator", ["LSTMClassifier"]),
    "regressor made of a classifier": value("estimator", "LSTMRegressor"),
    "no estimator": without("estimator"),
    "no parameters": without("parameters"),
    "no recipe": without("recipe"),
    "no network": without("recipe", "network"),
    "no fitted values": without("fitted"),
    "no history": without("fitted", "values", "history_"),
    "no number of features": without("fitted", "values", "n_features_in_"),
    "no classes": without("fitted", "arrays", "classes_"),
    "unknown parameter": value("parameters", "reduce", 1),
    "bad parameter": value("parameters", "hidden_size", "many"),
    "device of nowhere": value("parameters", "device", "nowhere"),
    "parameters of a list": value("parameters", [1, 2]),
    "history of text": value("fitted", "values", "history_", "long"),
    "iterations of text": value("fitted", "values", "n_iter_", "three"),
    "notes of text": value("notes", 3),
    "three classes": array("classes_", values=["a", "b", "c"]),
    "classes of a huge type": array("classes_", dtype="<U1000000000"),
    "classes of an unknown type": array("classes_", dtype="tree"),
    "classes that are no numbers": array("classes_", dtype="<i8"),
    "classes in two dimensions": array("classes_", values=[["a", "b"], ["c", "d"]]),
    "a class twice": array("classes_", values=["up", "up"]),
    "classes out of order": array("classes_", values=["up", "down"]),
    "classes of nothing": value("fitted", "arrays", "classes_", None),
    "times of text": array("classes_", dtype="<M8[D]", values=["2020-01-01", "2021-01-01"]),
    "class weights below 0": value("fitted", "arrays", "class_weights_", {"dtype": "<f8", "values": [1.0, -1.0]}),
    "class weights of text": value("fitted", "arrays", "class_weights_", {"dtype": "<U1", "values": ["1", "2"]}),
    "history of numbers": value("fitted", "values", "history_", [1, 2]),
    "features of truth": value("fitted", "values", "n_features_in_", True),
    "features that do not go with the network": value("fitted", "values", "n_sequence_features_", 5),
    "many strides": network(stem_strides=[1] * 100_000),
    "strides of zero": network(stem_strides=[0]),
    "fractional strides": network(stem_strides=[1.5]),
    "strides beyond integers": network(stem_strides=[10**30]),
    "a stride that is no list": network(stem_strides=2),
    "loud noise": network(input_noise="loud"),
    "noise below 0": network(amplitude_noise=-1.0),
    "dropout of NaN": network(dropout={"float": "nan"}),
    "directions of text": network(bidirectional="both"),
    "variant of text": network(cell_options={"peephole": "no"}),
    "no batch": value("recipe", "batch_size", 0),
    "fractional batch": value("recipe", "batch_size", 1.5),
    "batch chosen later": value("recipe", "batch_size", "auto"),
    "folds of text": value("recipe", "validation_folds", "four"),
    "smoothing of text": value("recipe", "label_smoothing", "much"),
    "unknown schedule": value("recipe", "training", "schedule", "cosine"),
    "schedule of a list": value("recipe", "training", "schedule", ["one_cycle"]),
    "learning rate of text": value("recipe", "training", "lr", "fast"),
    "epochs of text": value("recipe", "training", "max_epochs", "many"),
    "stop before the start": value("recipe", "training", "stop_after", -1),
    "outputs a step of a network without": value("parameters", "per_step", True),
    "a network that gives outputs a step": network(pooling=None),
    "another cell than the network's": value("parameters", "cell", "gru"),
    "scale of zero": tensor("network.views.scale", lambda t: t * 0),
    "scale below zero": tensor("network.views.scale", lambda t: -t),
    "infinite scale": tensor("network.views.scale", lambda t: t * np.float32(np.inf)),
    "scale of a view of zero": tensor("network.views.view_scale", lambda t: t * 0),
    "a tensor of another shape": tensor(HEAD, lambda t: t[:, :-1]),
    "a tensor of another type": tensor(HEAD, lambda t: t.astype(np.float64)),
    "a tensor of integers": tensor(HEAD, lambda t: t.astype(np.int64)),
    "NaN in the weights": tensor(HEAD, lambda t: t * np.nan),
    "no tensors": lambda contents: contents[1].clear(),
    "a tensor less": lambda contents: contents[1].update({HEAD: contents[1].pop("network.head.bias")}),
    "a tensor more": lambda contents: contents[1].update({"network.extra": np.zeros(3)}),
}


@pytest.fixture(scope="module")
def contents(tmp_path_factory: pytest.TempPathFactory) -> Contents:
    return read_model(saved(classifier().fit(X, NAMES), tmp_path_factory.mktemp("model")))


@pytest.mark.parametrize("lie", LIES.values(), ids=LIES.keys())
def test_a_file_that_lies_is_refused_at_once(
    lie: Callable[[Contents], None], contents: Contents, tmp_path: Path
) -> None:
    changed = copy.deepcopy(contents)
    lie(changed)
    path = tmp_path / "lie"
    write_model(path, *changed)
    tracemalloc.start()
    began = time.perf_counter()
    with pytest.raises(ModelFileError, match="lie"):
        load(path)
    taken, (_, peak) = time.perf_counter() - began, tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert taken < 5
    assert peak < 20e6


def refused(fitted: Any, lie: Callable[[Contents], None], path: Path) -> None:
    contents = read_model(saved(fitted, path.parent))
    lie(contents)
    write_model(path, *contents)
    with pytest.raises(ModelFileError, match="do not fit together"):
        load(path)


def test_a_variance_below_zero_is_refused(tmp_path: Path) -> None:
    lie = tensor("network.stem.norms.1.running_var", lambda t: t - 1e6)
    refused(classifier(stem=(2, 1)).fit(X, NAMES), lie, tmp_path / "lie")


@pytest.mark.parametrize("scale", [0.0, -1.0, np.nan, np.inf])
def test_a_scale_of_targets_that_is_none_is_refused(scale: float, tmp_path: Path) -> None:
    lie = tensor("target_scaler.scale", lambda t: np.full_like(t, scale))
    refused(regressor().fit(X, ends(X)), lie, tmp_path / "lie")


def test_strides_where_every_step_has_an_output_are_refused(tmp_path: Path) -> None:
    fitted = classifier(per_step=True, stem=(1,), pooling="last").fit(X, [part > 0 for part in STEPS])
    refused(fitted, network(stem_strides=[2]), tmp_path / "lie")
    refused(fitted, network(stem_pooling="mean"), tmp_path / "lie")


@pytest.mark.parametrize("changed", [{"cell": "gru"}, {"per_step": True}])
def test_parameters_of_another_network_are_not_saved(changed: dict[str, Any], tmp_path: Path) -> None:
    """Such a file could not be loaded."""
    fitted = classifier().fit(X, NAMES).set_params(**changed)
    with pytest.raises(ParameterError, match="was fitted with"):
        fitted.save(tmp_path / "model")
    assert not list(tmp_path.iterdir())


def test_what_a_file_names_but_nobody_asked_for_is_left_in_it(contents: Contents, tmp_path: Path) -> None:
    """No attribute of the estimator can be replaced by a name in a file."""
    changed = copy.deepcopy(contents)
    changed[0]["fitted"]["values"] |= {"predict": 1, "__class__": 2, "save": "x"}
    changed[0]["fitted"]["arrays"] |= {"fit": {"dtype": "<i8", "values": [1]}}
    path = tmp_path / "more"
    write_model(path, *changed)
    assert load(path).fit(X, NAMES).predict(X).shape == (24,)


@pytest.mark.parametrize("device", ["cuda:99", "xla", "meta"])
def test_a_model_of_a_machine_with_another_device_loads_without(
    device: str, contents: Contents, tmp_path: Path
) -> None:
    changed = copy.deepcopy(contents)
    changed[0]["parameters"]["device"] = device
    path = tmp_path / "elsewhere"
    write_model(path, *changed)
    loaded = load(path)
    assert loaded.device == "auto"
    assert loaded.predict(X).shape == (24,)
