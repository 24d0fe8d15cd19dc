"""The parameters that all estimators share: their text, and the checks of their values."""

import re
from inspect import cleandoc, signature
from numbers import Integral, Real
from typing import Any, TypeVar

import numpy as np
import torch
from sklearn.utils import check_random_state

from longspan import nn
from longspan.errors import ParameterError
from longspan.tasks import CELLS, SOURCES, TARGETS, check_cell_options

T = TypeVar("T")

_SHARED_TEXT = """
cell : {"lstm", "rnn", "gru", "feedforward"}, default "lstm"
    What runs over the steps: an LSTM, a plain (Elman) recurrent network with tanh, a gated recurrent unit, or, for
    comparison, a feed-forward network over a window of `window` steps, which has no memory beyond it.
hidden_size : int, default 64
    Hidden units H of each layer (and direction).
num_layers : int, default 1
    Recurrent layers on top of each other.
bidirectional : bool, default True
    Read each sequence in both directions. Set it to False where predictions must not look into the future.
pooling : str, default "auto"
    How the steps of a sequence become one vector: ``"last"``, ``"mean"``, ``"max"``, ``"attention"``, or several
    joined by ``+``. Not used with `per_step`. ``"auto"`` is documented under Notes.
views : tuple of {"level", "change", "shape"} or "auto", default "auto"
    What the network sees of each channel: its standardised value, its difference from the step before, and its value
    after the sequence's own mean and standard deviation are taken out. ``"auto"``: level and change, or the level alone
    with `per_step`.
input_noise, amplitude_noise : float or "auto", default "auto"
    Noise put on standardised inputs while training: added to every number; multiplied to each sequence.
stem : "auto", None or tuple of int, default "auto"
    Convolutional blocks in front of the cell, one stride each: ``(2, 2)`` shows the cell every fourth step of
    something learned from about twenty. None gives the cell the steps as they are.
dropout : float or "auto", default "auto"
    Share of units dropped between layers and before the read-out, while training.
init : {"auto", "torch", "forget_bias", "chrono"}, default "auto"
    Initialiser of an LSTM: uniform as torch does; forget-gate bias 1; or gate biases drawn for memories of up to
    `max_lag` steps ("chrono", for an LSTM only).
max_lag : int, optional
    Longest dependency expected, in steps, for ``init="chrono"`` alone; None means the longest training sequence.
window : int, default 16
    Steps seen at once by ``cell="feedforward"``.
cell_options : dict, optional
    Variants of the LSTM cell, passed to `longspan.nn.LSTM`: ``{"peephole": True}``, ``{"layer_norm": True}``...
    For another cell only with `match_parameters`, whose measure is then that LSTM.
match_parameters : bool, default False
    Change `hidden_size` so that a cell other than the LSTM has as many parameters as the LSTM would have.
per_step : bool, default False
    There is one target for every step instead of one for every sequence.
pretrained : LSTMEncoder, optional
    A fitted encoder to start from: its views, convolutional blocks, cell, pooling and scale of the input. It decides
    what the network is made of; parameters that say something else are refused. It survives `sklearn.base.clone`; in a
    grid of parameters put it into a `sklearn.frozen.FrozenEstimator`. A model file does not hold it.
missing : {"error", "indicator"}, default "error"
    Refuse NaN; or carry the last value forward and add two channels for each: whether it was seen, and how long ago.
max_epochs : int or "auto", default "auto"
    Passes over the training part, at most. ``"auto"`` gives small sets more passes than large ones.
batch_size : int or "auto", default "auto"
    Sequences in a training step.
lr : float or "auto", default "auto"
    Peak learning rate of AdamW.
weight_decay : float, default 0.01
    Decoupled weight decay of matrices.
schedule : {"one_cycle", "constant"}, default "one_cycle"
    The learning rate over training: a warm-up and half a cosine, or level.
clip_norm : float, default 1.0
    Largest global norm of the gradient; `float("inf")` does not clip.
validation_fraction : float or "auto", default "auto"
    Share of the sequences held out, to keep the weights of the best epoch and to stop early; 0 holds out none.
validation_folds : int or "auto", default "auto"
    Choose the number of epochs by cross-validation with so many folds, 2 or more, then train on everything: what a
    small set needs. 0 holds out one part instead, or none (see `validation_fraction`).
validation_split : {"random", "time"}, default "random"
    Hold out sequences by chance (classes in proportion), or the last ones.
n_iter_no_change : int, None or "auto", default "auto"
    Stop after so many epochs without a better validation loss; None trains for `max_epochs`.
tol : float, default 0.0
    What counts as better.
ema_decay : float, default 0.98
    Decay of the moving average of the weights that is kept in the end; 0 keeps the weights of the last step.
warm_start : bool, default False
    Go on with the weights there are when `fit` is called again.
device : str, default "auto"
    ``"cpu"``, ``"cuda"``, ...; ``"auto"`` is CUDA where there is one.
random_state : int, RandomState or None, default None
    Seed of initial weights, hold-out, batches and dropout; an int makes a fit reproduce bit for bit on one machine and
    number of threads.
verbose : int, default 0
    1 shows a progress bar with the time left; 0 writes nothing at all.
"""

_SHARED_TEXTS = {
    name: text for text in re.split(r"\n(?=\w)", _SHARED_TEXT.strip()) for name in text.partition(" : ")[0].split(", ")
}
"""The text of each parameter, by its name."""

_RECIPE_TEXT = """
What each ``"auto"`` becomes is chosen from the shape of the training data, and is found in ``recipe_`` after fitting:

- The network sees each channel standardised, and its change from step to step.
- Two convolutional blocks with max pooling shorten sequences by a power of two, until nine in ten have at most 64
  steps left; then come the recurrent layers.
- The last state of each direction, the mean and the maximum over the steps are read out side by side, with the mean
  and the maximum of the convolutional blocks.
- Batches hold 16 sequences, 32 if there are more than 500 and 64 if there are more than 2,000. There are at least 15
  passes, and on small sets as many as make 500 training steps (400 for a regressor).
- A classifier holds nothing out, unless it shall `calibrate`. A regressor chooses its number of epochs by
  cross-validation on up to 500 sequences, so that it trains five times, and on a tenth, 1,000 at most, held out of
  more.
- With `per_step` there are neither convolutional blocks nor changes: each step is seen as it is.

The choices were made by cross-validation on training sets of speech, motion, outlines, device loads and others.
"""


def documented(cls: type[T]) -> type[T]:
    """Put the parameters that `cls` shares with others into its docstring, where it says ``{parameters}``."""
    text = cleandoc(cls.__doc__ or "")
    own = {name for line in text.splitlines() for name in line.partition(" : ")[0].split(", ")}
    texts = {_SHARED_TEXTS[name]: None for name in signature(cls).parameters if name not in own}
    shared = "\n".join(texts)  # a text that is of two parameters stands there once
    cls.__doc__ = text.replace("{parameters}", shared).replace("{recipe}", _RECIPE_TEXT.strip())
    return cls


def check_parameters(parameters: dict[str, Any]) -> None:
    """Raise `ParameterError`, naming the parameter, for a value that no estimator can work with.

    Each estimator has some of the parameters that are known here.
    """
    _check_choices(parameters)
    _check_numbers(parameters)
    if "pooling" in parameters:
        _check_views_of_input(parameters)
    if parameters["cell_options"] is not None:
        check_cell_options(parameters["cell_options"])
    _check_in_use(parameters)
    _check_run(parameters)
    if "class_weight" in parameters:
        _check_class_weight(parameters["class_weight"])


def _check_choices(parameters: dict[str, Any]) -> None:
    choices: dict[str, tuple[Any, ...]] = {
        "cell": CELLS,
        "init": ("auto", "torch", "forget_bias", "chrono"),
        "missing": ("error", "indicator"),
        "source": ("auto", *SOURCES),
        "target": ("auto", *TARGETS),
        "schedule": ("one_cycle", "constant"),
        "validation_split": ("random", "time"),
    }
    for name in choices.keys() & parameters.keys():
        allowed = choices[name]
        if not isinstance(parameters[name], str) or parameters[name] not in allowed:
            raise ParameterError(f"{name} is one of {', '.join(map(repr, allowed))}, but it was {parameters[name]!r}.")
    flags = {"bidirectional", "calibrate", "match_parameters", "per_step", "variational", "warm_start"}
    if "attention" in parameters and parameters["attention"] not in (None, *nn.ATTENTIONS):
        raise ParameterError(
            f"attention is None or one of {', '.join(map(repr, nn.ATTENTIONS))}, but it was "
            f"{parameters['attention']!r}."
        )
    for name in flags & parameters.keys():
        if not isinstance(parameters[name], bool | np.bool_):
            raise ParameterError(f"{name} is True or False, but it was {parameters[name]!r}.")


_HIGHEST = float(np.finfo(np.float64).max)

NUMBERS: dict[str, tuple[bool, float, float, tuple[str | None, ...]]] = {
    "hidden_size": (True, 1, np.inf, ()),
    "num_layers": (True, 1, np.inf, ()),
    "n_samples": (True, 1, np.inf, ()),  # of a method
    "latent_size": (True, 1, np.inf, ()),
    "beta": (False, 0.0, _HIGHEST, ()),
    "harmonics": (True, 1, 1024, ()),  # of an autoencoder
    "window": (True, 1, np.inf, ()),
    "max_lag": (True, 2, np.inf, (None,)),
    "horizon": (True, 1, np.inf, ("auto",)),
    "context_length": (True, 1, np.inf, ("auto",)),
    "season_length": (True, 1, np.inf, ("auto",)),
    "max_epochs": (True, 1, np.inf, ("auto",)),
    "batch_size": (True, 1, np.inf, ("auto",)),
    "bptt_steps": (True, 1, np.inf, ("auto", None)),
    "scheduled_sampling": (False, 0.0, 1.0, ()),
    "embedding_size": (True, 1, np.inf, ()),
    "source_size": (True, 1, np.inf, ()),
    "target_size": (True, 1, np.inf, ()),
    "n_iter_no_change": (True, 1, np.inf, ("auto", None)),
    "validation_folds": (True, 0, np.inf, ("auto",)),
    "dropout": (False, 0.0, 0.999, ("auto",)),
    "input_noise": (False, 0.0, _HIGHEST, ("auto",)),
    "amplitude_noise": (False, 0.0, _HIGHEST, ("auto",)),
    "ema_decay": (False, 0.0, 0.999999, ()),
    "lr": (False, 1e-12, _HIGHEST, ("auto",)),
    "weight_decay": (False, 0.0, _HIGHEST, ()),
    "clip_norm": (False, 1e-12, np.inf, ()),
    "tol": (False, 0.0, _HIGHEST, ()),
    "validation_fraction": (False, 0.0, 0.999, ("auto",)),
    "label_smoothing": (False, 0.0, 0.999, ("auto",)),
    "calibration_folds": (True, 0, np.inf, ()),  # of a recipe
}
"""Whether it is a whole number, lowest and highest value, and what else a parameter may be."""


def _check_numbers(parameters: dict[str, Any]) -> None:
    of_a_decoder = "bptt_steps" in parameters
    for name in NUMBERS.keys() & parameters.keys():
        if name != "hidden_size" or not of_a_decoder or parameters[name] != "auto":  # a decoder chooses its size
            check_number(name, parameters[name])
    if parameters.get("validation_folds") == 1:
        raise ParameterError(
            "validation_folds is 1, but a fold is learned from while another is held out: it must be 2 or more.\n"
            "  Use validation_folds=0 and validation_fraction to hold out one part."
        )


def check_number(name: str, value: Any, *, auto: bool = True) -> None:
    """Raise `ParameterError` unless the parameter `name` may have this value; ``"auto"`` only where `auto` says so."""
    whole, low, high, others = NUMBERS[name]
    others = tuple(other for other in others if auto or other != "auto")
    if (value is None or isinstance(value, str)) and value in others:
        return
    if not _is_number(value, whole=whole) or not low <= value <= high:
        what = "a whole number" if whole else "a number"
        limit = f"from {low:g}" + ("" if high >= _HIGHEST else f" to {high:g}")
        or_else = "".join(f", or {other!r}" for other in others)
        raise ParameterError(f"{name} must be {what} {limit}{or_else}, but it was {value!r}.")


def _is_number(value: Any, *, whole: bool) -> bool:
    return isinstance(value, Integral if whole else Real) and not isinstance(value, bool)


def _check_views_of_input(parameters: dict[str, Any]) -> None:
    pooling, stem = parameters["pooling"], parameters["stem"]
    parts = pooling.split("+") if isinstance(pooling, str) else [""]
    if pooling != "auto" and (len(set(parts)) < len(parts) or not set(parts) <= set(_POOLINGS)):
        raise ParameterError(
            f"pooling is one of 'auto', {', '.join(map(repr, _POOLINGS))}, or several of them joined by '+', "
            f"but it was {pooling!r}."
        )
    views = parameters["views"]
    several = isinstance(views, tuple | list) and 0 < len(set(views)) == len(views) and set(views) <= set(_VIEWS)
    if not several and not (isinstance(views, str) and views == "auto"):
        raise ParameterError(
            f"views is 'auto' or a tuple with some of {', '.join(map(repr, _VIEWS))}, but it was {views!r}."
        )
    strides = () if stem is None or (isinstance(stem, str) and stem == "auto") else stem
    if not isinstance(strides, tuple | list) or not all(_is_number(s, whole=True) and s >= 1 for s in strides):
        raise ParameterError(f"stem is 'auto', None or a tuple of strides such as (2, 2), but it was {stem!r}.")


_VIEWS = ("level", "change", "shape")

_POOLINGS = ("last", "mean", "max", "attention")


def _check_in_use(parameters: dict[str, Any]) -> None:
    """Refuse parameters that would do nothing beside the others."""
    _check_something_is_held_out(parameters)
    cell, init, max_lag = (parameters[name] for name in ("cell", "init", "max_lag"))
    if max_lag is not None and init != "chrono":
        raise ParameterError(
            f'max_lag is {max_lag!r}, but init is {init!r}: max_lag is for init="chrono" alone.\n'
            f'  Set init="chrono", or leave max_lag out.'
        )
    if cell == "lstm":
        return
    if init == "chrono":
        raise ParameterError(
            f'init is "chrono", which draws the gate biases of an LSTM, but cell is {cell!r}.\n'
            f'  Use cell="lstm", or leave init and max_lag out.'
        )
    if parameters["cell_options"] and not parameters["match_parameters"]:
        raise ParameterError(
            f"cell_options are variants of the LSTM, but cell is {cell!r}.\n"
            f'  Use cell="lstm", or leave cell_options out.'
        )


def _check_something_is_held_out(parameters: dict[str, Any]) -> None:
    if not parameters.get("calibrate"):
        return
    fraction, folds = parameters["validation_fraction"], parameters["validation_folds"]
    if fraction == 0 and folds in (0, "auto"):
        raise ParameterError(
            f"calibrate=True needs sequences that the network has not learned from, but validation_fraction is "
            f"{fraction!r} and validation_folds {folds!r}: nothing is held out.\n"
            f"  Leave both at 'auto', or set one of them."
        )


def _check_run(parameters: dict[str, Any]) -> None:
    random_state, verbose = parameters["random_state"], parameters["verbose"]
    check_device_name(parameters["device"])
    _check_device(parameters["device"])
    try:
        check_random_state(random_state)
    except ValueError as error:
        raise ParameterError(
            f"random_state is None, a whole number from 0 to 2**32 - 1 or a RandomState, but it was {random_state!r}."
        ) from error
    if not isinstance(verbose, int | np.integer) or verbose < 0:
        raise ParameterError(f"verbose is 0 or 1, but it was {verbose!r}.")


def check_device_name(device: Any) -> None:
    """Raise `ParameterError` for what names no device, here or elsewhere."""
    if not isinstance(device, str):
        raise ParameterError(f"device is text such as 'auto', 'cpu' or 'cuda:0', but it was {device!r}.")
    try:
        torch.device("cpu" if device == "auto" else device)
    except RuntimeError as error:
        raise ParameterError(f"device is none that torch knows: {device!r}.") from error


def why_unusable(device: str) -> str | None:
    """Return why nothing can be computed on a device here, or None if it can; one number goes there and back."""
    if device == "auto":
        return None
    try:
        torch.empty(1, device=device).cpu()
    except Exception as error:  # noqa: BLE001 - every backend of torch fails in its own way
        return str(error).partition("\n")[0]
    return None


def _check_device(device: str) -> None:
    reason = why_unusable(device)
    if reason is not None:
        raise ParameterError(
            f"device is {device!r}, which cannot be used here: {reason:.200}\n  'auto' takes what there is."
        )


def _check_class_weight(weights: Any) -> None:
    if weights is None or (isinstance(weights, str) and weights == "balanced"):
        return
    usable = isinstance(weights, dict) and all(
        _is_number(weight, whole=False) and 0 <= weight < np.inf for weight in weights.values()
    )
    if not usable:
        raise ParameterError(
            f"class_weight is None, 'balanced' or a dict of a finite weight for each label, but it was {weights!r}."
        )
