"""Options that several commands share, and those of the estimators.

The table of estimator parameters is written out, so that ``--help`` needs no torch; a test compares it with the
signatures of the estimators.
"""

import functools
import inspect
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Annotated, Any, NamedTuple

import typer

from longspan.cli._values import read_assignments, read_class_weight, read_tuple, read_value

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object, and nothing else on standard output.")]
Verbose = Annotated[
    bool | None,
    typer.Option("--verbose/--quiet", help="Show progress on standard error.", show_default="unless --json"),
]


@dataclass(frozen=True)
class Group:
    """Some options that travel together.

    Parameters
    ----------
    options : tuple of inspect.Parameter
        What typer makes options of.
    gather : callable
        Makes one value of them, called with their values by name.
    """

    options: tuple[inspect.Parameter, ...]
    gather: Callable[..., Any]


def with_groups(**groups: Group) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Replace each parameter named in `groups` by the options of its group."""

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(command)
        def run(*args: Any, **values: Any) -> None:
            for name, group in groups.items():
                of_group = {option.name: values.pop(option.name) for option in group.options}
                values[name] = group.gather(**of_group)
            command(*args, **values)

        own = inspect.signature(command, eval_str=True)
        kept = [parameter for name, parameter in own.parameters.items() if name not in groups]
        added = [option for group in groups.values() for option in group.options]
        kinds = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
        together = sorted([*kept, *added], key=lambda parameter: kinds.index(parameter.kind))
        run.__signature__ = own.replace(parameters=together)  # type: ignore[attr-defined]
        run.__annotations__ = {parameter.name: parameter.annotation for parameter in together}
        return run

    return decorate


def option(name: str, annotation: Any, default: Any = None, *flags: str, **about: Any) -> inspect.Parameter:
    """Return what typer makes an option of; `flags` and `about` are passed to `typer.Option`."""
    annotated = Annotated[annotation, typer.Option(*flags, **about)]
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotated)


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
    """

    name: str
    metavar: str
    default: Any
    help: str
    read: Callable[[str], Any] = read_value

    @property
    def flag(self) -> str:
        """The option as it is typed."""
        return f"--{self.name.replace('_', '-')}"

    def option(self, panel: str) -> inspect.Parameter:
        """Return what typer makes an option of; one that is not given is None."""
        default = "none" if self.default is None else str(self.default).lower()
        about = {"help": f"{self.help} [dim]\\[{default}][/dim]", "rich_help_panel": panel}
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


NETWORK = (
    Parameter("cell", "NAME", "lstm", "What runs over the steps: lstm, rnn, gru or feedforward."),
    Parameter("hidden_size", "N", 64, "Hidden units of each layer and direction."),
    Parameter("num_layers", "N", 1, "Layers on top of each other."),
    Parameter("bidirectional", "", True, "Read each sequence in both directions, or only forwards."),
    Parameter("pooling", "WAYS", "auto", "How steps become one vector: last, mean, max, attention; joined by +."),
    Parameter("views", "NAME,...", "auto", "What is seen of each feature: level, change, shape.", read_tuple),
    Parameter("input_noise", "SCALE", "auto", "Noise added to standardised inputs while training."),
    Parameter("amplitude_noise", "SCALE", "auto", "Noise multiplied to each sequence while training."),
    Parameter("stem", "STRIDES", "auto", "Convolutions in front of the cell, as 2,2; none for none.", read_tuple),
    Parameter("dropout", "SHARE", "auto", "Share of units dropped while training."),
    Parameter("init", "NAME", "auto", "Initialiser of an LSTM: torch, forget_bias or chrono."),
    Parameter("max_lag", "STEPS", None, "Longest dependency expected, for --init chrono."),
    Parameter("window", "STEPS", 16, "Steps seen at once by --cell feedforward."),
    Parameter("cell_options", "A=B,...", None, "Variants of the LSTM: peephole=true,zoneout=0.1", read_assignments),
    Parameter("match_parameters", "", False, "Make other cells as large as the LSTM would be, in parameters."),
)
TRAINING = (
    Parameter("missing", "WAY", "error", "Missing values: error refuses them, indicator tells the network."),
    Parameter("max_epochs", "N", "auto", "Passes over the training part, at most."),
    Parameter("batch_size", "N", "auto", "Sequences in a training step."),
    Parameter("lr", "RATE", "auto", "Peak learning rate of AdamW."),
    Parameter("weight_decay", "RATE", 0.01, "Decoupled weight decay of matrices."),
    Parameter("schedule", "NAME", "one_cycle", "The learning rate over training: one_cycle or constant."),
    Parameter("clip_norm", "NORM", 1.0, "Largest global norm of the gradient; inf does not clip."),
    Parameter("validation_fraction", "SHARE", "auto", "Share of the training part held out to stop early."),
    Parameter("validation_folds", "N", "auto", "Choose the epochs by cross-validation, in so many folds; 0: do not."),
    Parameter("validation_split", "WAY", "random", "How: random, or time for the last ones."),
    Parameter("n_iter_no_change", "N", "auto", "Stop after so many epochs without a better loss; none never does."),
    Parameter("tol", "LOSS", 0.0, "What counts as better."),
    Parameter("ema_decay", "SHARE", 0.98, "Weights are averaged over training, keeping so much at each step."),
    Parameter("device", "NAME", "auto", "Where to compute: cpu, cuda, ..."),
    Parameter("class_weight", "A=1,B=3", None, "Weight of each class, or balanced; to classify.", read_class_weight),
    Parameter("label_smoothing", "SHARE", "auto", "Probability spread over all classes; to classify."),
)


def estimator_parameters(*, without: Collection[str] = ()) -> Group:
    """Return the options of the estimators; they are gathered into a dict of those that were given."""
    panels = {"Network": NETWORK, "Training": TRAINING}
    rows = {row.name: (row, panel) for panel, table in panels.items() for row in table if row.name not in without}

    def gather(**given: Any) -> dict[str, Any]:
        return {name: rows[name][0].value(value) for name, value in given.items() if value is not None}

    return Group(tuple(row.option(panel) for row, panel in rows.values()), gather)
