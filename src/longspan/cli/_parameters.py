"""The parameters of the estimators, as options.

The table is written out, so that ``--help`` needs no torch; a test compares it with the signatures of the estimators.
"""

import inspect
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any, NamedTuple

import typer

from longspan.cli._options import Group, Task, option, refuse_misplaced
from longspan.cli._values import read_assignments, read_class_weight, read_levels, read_tuple, read_value

_ALL: tuple[str, ...] = tuple(Task)
_READERS = ("classify", "regress", "encode")
_CLASSIFY, _ENCODE, _DECODE, _FORECAST = ("classify",), ("encode",), ("decode",), ("forecast",)


class Parameter(NamedTuple):
    """A parameter of the estimators.

    Attributes
    ----------
    name : str
    metavar : str
        What its value looks like; empty for a switch.
    default : object
        As in the signature.
    help : str
    read : callable
        Turns the text into a value; the estimator then checks it.
    tasks : tuple of str
        The tasks whose estimator has it.
    others : dict of str to object
        The default of tasks that have another one.
    """

    name: str
    metavar: str
    default: Any
    help: str
    read: Callable[[str], Any] = read_value
    tasks: tuple[str, ...] = _ALL
    others: Mapping[str, Any] = {}

    @property
    def flag(self) -> str:
        """The option as it is typed."""
        return f"--{self.name.replace('_', '-')}"

    def default_for(self, task: str) -> Any:
        """Return the default of one task."""
        return self.others.get(task, self.default)

    def option(self, panel: str) -> inspect.Parameter:
        """Return what typer makes an option of; one that is not given is None."""
        defaults = [_shown(self.default), *(f"{_shown(other)} to {task}" for task, other in self.others.items())]
        about = {"help": f"{self.help} [dim]\\[{', '.join(defaults)}][/dim]", "rich_help_panel": panel}
        if self.metavar:
            return option(self.name, str | None, metavar=self.metavar, **about)
        flags = f"{self.flag}/--no-{self.flag[2:]}" if self.default else self.flag
        return option(self.name, bool | None, None, flags, **about)

    def value(self, given: Any) -> Any:
        """Return the value of the parameter."""
        if not isinstance(given, str):
            return given
        try:
            return self.read(given)
        except ValueError as error:
            raise typer.BadParameter(f"{error}", param_hint=self.flag) from error


def _shown(default: Any) -> str:
    if isinstance(default, tuple):
        return ",".join(map(str, default))
    return "none" if default is None else str(default).lower()


NETWORK = (
    Parameter("cell", "NAME", "lstm", "What runs over the steps: lstm, rnn, gru or feedforward."),
    Parameter("hidden_size", "N", 64, "Hidden units of each layer and direction.", others={"decode": "auto"}),
    Parameter("num_layers", "N", 1, "Layers on top of each other."),
    Parameter("bidirectional", "", True, "Read each sequence in both directions, or only forwards.", tasks=_READERS),
    Parameter(
        "pooling",
        "WAYS",
        "auto",
        "How steps become one vector: last, mean, max, attention; joined by +.",
        tasks=_READERS,
    ),
    Parameter(
        "views", "NAME,...", "auto", "What is seen of each feature: level, change, shape.", read_tuple, tasks=_READERS
    ),
    Parameter("input_noise", "SCALE", "auto", "Noise added to standardised inputs while training.", tasks=_READERS),
    Parameter("amplitude_noise", "SCALE", "auto", "Noise multiplied to each sequence while training.", tasks=_READERS),
    Parameter(
        "stem",
        "STRIDES",
        "auto",
        "Convolutions in front of the cell, as 2,2; none for none.",
        read_tuple,
        tasks=_READERS,
    ),
    Parameter("dropout", "SHARE", "auto", "Share of units dropped while training."),
    Parameter("init", "NAME", "auto", "Initialiser of an LSTM: torch, forget_bias or chrono."),
    Parameter("max_lag", "STEPS", None, "Longest dependency expected, for --init chrono."),
    Parameter("window", "STEPS", 16, "Steps seen at once by --cell feedforward."),
    Parameter("cell_options", "A=B,...", None, "Variants of the LSTM: peephole=true,zoneout=0.1", read_assignments),
    Parameter("match_parameters", "", False, "Make other cells as large as the LSTM would be, in parameters."),
)
TRAINING = (
    Parameter(
        "missing",
        "WAY",
        "error",
        "Missing values: error refuses them, indicator tells the network.",
        tasks=_READERS,
    ),
    Parameter("max_epochs", "N", "auto", "Passes over the training part, at most."),
    Parameter("batch_size", "N", "auto", "Sequences in a training step."),
    Parameter("lr", "RATE", "auto", "Peak learning rate of AdamW."),
    Parameter("weight_decay", "RATE", 0.01, "Decoupled weight decay of matrices."),
    Parameter("schedule", "NAME", "one_cycle", "The learning rate over training: one_cycle or constant."),
    Parameter("clip_norm", "NORM", 1.0, "Largest global norm of the gradient; inf does not clip."),
    Parameter("validation_fraction", "SHARE", "auto", "Share of the training part held out to stop early."),
    Parameter(
        "validation_folds",
        "N",
        "auto",
        "Choose the epochs by cross-validation, in so many folds; 0: do not.",
        tasks=_READERS,
    ),
    Parameter(
        "validation_split", "WAY", "random", "How: random, or time for the last ones.", others={"forecast": "time"}
    ),
    Parameter("n_iter_no_change", "N", "auto", "Stop after so many epochs without a better loss; none never does."),
    Parameter("tol", "LOSS", 0.0, "What counts as better."),
    Parameter("ema_decay", "SHARE", 0.98, "Weights are averaged over training, keeping so much at each step."),
    Parameter("device", "NAME", "auto", "Where to compute: cpu, cuda, ..."),
)
CLASSIFY = (
    Parameter(
        "class_weight", "A=1,B=3", None, "Weight of each class, or balanced.", read_class_weight, tasks=_CLASSIFY
    ),
    Parameter(
        "label_smoothing",
        "SHARE",
        "auto",
        "Probability spread over all classes, or symbols to decode.",
        tasks=("classify", "decode"),
    ),
    Parameter("calibrate", "", False, "Make probabilities honest by sequences held out.", tasks=_CLASSIFY),
    Parameter(
        "pretrained",
        "MODEL",
        None,
        "Start from an encoder that was trained with --task encode; to regress too.",
        str,
        tasks=("classify", "regress"),
    ),
)
ENCODE = (
    Parameter("latent_size", "N", 16, "Numbers that stand for a sequence.", tasks=_ENCODE),
    Parameter("variational", "", False, "Let a sequence stand for a distribution.", tasks=_ENCODE),
    Parameter("beta", "WEIGHT", 1.0, "How much that distribution counts, with --variational.", tasks=_ENCODE),
)
DECODE = (
    Parameter(
        "attention", "KIND", "dot", "How the decoder looks into the source: dot, additive or none.", tasks=_DECODE
    ),
    Parameter(
        "scheduled_sampling",
        "SHARE",
        0.0,
        "Share of steps that read what the network said itself, in the end.",
        tasks=_DECODE,
    ),
    Parameter("bptt_steps", "STEPS", "auto", "Longer targets are learned in pieces; none: whole.", tasks=_DECODE),
)
FORECAST = (
    Parameter("horizon", "STEPS", "auto", "Steps to forecast.", tasks=_FORECAST),
    Parameter("context_length", "STEPS", "auto", "Steps that are seen before each forecast.", tasks=_FORECAST),
    Parameter("season_length", "STEPS", "auto", "Steps of a season; 1 for none.", tasks=_FORECAST),
    Parameter(
        "quantiles",
        "LEVEL,...",
        (0.1, 0.5, 0.9),
        "What is learned; the outermost bound the interval.",
        read_levels,
        tasks=_FORECAST,
    ),
    Parameter("output", "KIND", "quantiles", "quantiles, or a distribution: normal or student_t.", tasks=_FORECAST),
    Parameter(
        "strategy", "KIND", "direct", "The horizon in one piece: direct; or step by step: recursive.", tasks=_FORECAST
    ),
    Parameter("log", "WAY", "auto", "Forecast logarithms: true or false.", tasks=_FORECAST),
    Parameter("conformal", "", True, "Calibrate the width of intervals.", tasks=_FORECAST),
)
PANELS = {
    "Classify": CLASSIFY,
    "Encode": ENCODE,
    "Decode": DECODE,
    "Forecast": FORECAST,
    "Network": NETWORK,
    "Training": TRAINING,
}


def all_parameters() -> Iterator[Parameter]:
    """Yield the rows of all tables."""
    for table in PANELS.values():
        yield from table


def estimator_parameters(
    *, without: Collection[str] = (), tasks: Collection[str] = _ALL, panels: Collection[str] = tuple(PANELS)
) -> Group:
    """Return the options of the estimators of some tasks; they are gathered into a dict of those that were given."""
    rows = {
        row.name: (row, panel)
        for panel in panels
        for row in PANELS[panel]
        if row.name not in without and not set(tasks).isdisjoint(row.tasks)
    }

    def gather(**given: Any) -> dict[str, Any]:
        return {name: rows[name][0].value(value) for name, value in given.items() if value is not None}

    return Group(tuple(row.option(panel) for row, panel in rows.values()), gather)


def check_placed(task: Task, parameters: Collection[str]) -> None:
    """Raise for a parameter that the estimator of the task does not have."""
    rows = {row.name: row for row in all_parameters()}
    refuse_misplaced(task, ((rows[name].flag, rows[name].tasks) for name in parameters))
