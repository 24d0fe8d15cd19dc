"""The parameters that all estimators share: their text, and the checks of their values."""

from inspect import cleandoc
from numbers import Integral, Real
from typing import Any, TypeVar

from longspan.errors import ParameterError
from longspan.tasks import CELLS

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
stem : "auto", None or tuple of int, default "auto"
    Convolutional blocks in front of the cell, one stride each: ``(2, 2)`` shows the cell every fourth step of
    something learned from about twenty. None gives the cell the steps as they are.
dropout : float or "auto", default "auto"
    Share of units dropped between layers and before the read-out, while training.
init : {"auto", "torch", "forget_bias", "chrono"}, default "auto"
    Initialiser of an LSTM: uniform as torch does; forget-gate bias 1; or gate biases drawn for memories of up to
    `max_lag` steps.
max_lag : int, optional
    Longest dependency expected, in steps, for ``init="chrono"``; the longest training sequence by default.
window : int, default 16
    Steps seen at once by ``cell="feedforward"``.
cell_options : dict, optional
    Variants of the LSTM cell, passed to `longspan.nn.LSTM`: ``{"peephole": True}``, ``{"layer_norm": True}``...
match_parameters : bool, default False
    Change `hidden_size` so that a cell other than the LSTM has as many parameters as the LSTM would have.
per_step : bool, default False
    There is one target for every step instead of one for every sequence.
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
validation_split : {"random", "time"}, default "random"
    Hold out sequences by chance (classes in proportion), or the last ones.
n_iter_no_change : int, None or "auto", default "auto"
    Stop after so many epochs without a better validation loss; None trains for `max_epochs`.
tol : float, default 0.0
    What counts as better.
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


def documented(cls: type[T]) -> type[T]:
    """Put the shared parameters into a docstring, where it says ``{parameters}``."""
    text = cleandoc(cls.__doc__ or "")
    cls.__doc__ = text.replace("{parameters}", _SHARED_TEXT.strip())
    return cls


def check_parameters(parameters: dict[str, Any]) -> None:
    """Raise `ParameterError` for a value that no estimator can work with."""
    _check_choices(parameters)
    _check_numbers(parameters)


def _check_choices(parameters: dict[str, Any]) -> None:
    choices: dict[str, tuple[Any, ...]] = {
        "cell": CELLS,
        "init": ("auto", "torch", "forget_bias", "chrono"),
        "missing": ("error", "indicator"),
        "schedule": ("one_cycle", "constant"),
        "validation_split": ("random", "time"),
    }
    for name, allowed in choices.items():
        if parameters[name] not in allowed:
            raise ParameterError(f"{name} is one of {', '.join(map(repr, allowed))}, but it was {parameters[name]!r}.")


def _check_numbers(parameters: dict[str, Any]) -> None:
    at_least: dict[str, tuple[type | tuple[type, ...], float, float]] = {
        "hidden_size": (int, 1, float("inf")),
        "num_layers": (int, 1, float("inf")),
        "window": (int, 1, float("inf")),
        "max_lag": (int, 2, float("inf")),
        "max_epochs": (int, 1, float("inf")),
        "batch_size": (int, 1, float("inf")),
        "n_iter_no_change": (int, 1, float("inf")),
        "dropout": ((int, float), 0.0, 0.999),
        "lr": ((int, float), 1e-12, float("inf")),
        "weight_decay": ((int, float), 0.0, float("inf")),
        "clip_norm": ((int, float), 1e-12, float("inf")),
        "tol": ((int, float), 0.0, float("inf")),
        "validation_fraction": ((int, float), 0.0, 0.999),
    }
    for name, (kind, low, high) in at_least.items():
        value = parameters[name]
        if value == "auto" or (value is None and name in ("max_lag", "n_iter_no_change")):
            continue
        if not _is_number(value, kind) or not low <= value <= high:
            what = "a whole number" if kind is int else "a number"
            limit = f"from {low:g}" + ("" if high == float("inf") else f" to {high:g}")
            raise ParameterError(f"{name} must be {what} {limit}, but it was {value!r}.")


def _is_number(value: Any, kind: type | tuple[type, ...]) -> bool:
    return isinstance(value, Integral if kind is int else Real) and not isinstance(value, bool)
