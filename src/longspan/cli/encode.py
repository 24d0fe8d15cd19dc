"""``longspan encode``: the numbers that stand for each sequence, or the sequences given back from them."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from longspan.cli._columns import Columns, Source
from longspan.cli._data import Examples, is_ts
from longspan.cli._models import load_model
from longspan.cli._options import Json, Task
from longspan.cli._output import Output
from longspan.cli._pictures import give_pictures
from longspan.cli._rows import OutFile, check_out, give, step_names
from longspan.cli._scores import flat
from longspan.cli._tasks.encode import channel_names, read_to_encode

if TYPE_CHECKING:
    from longspan.cli._rows import Rows

HELP = (
    "Turn sequences into the numbers that stand for them, with a model of train --task encode.\n\n"
    "The score of a sequence says how normal it is: 0 is as the average of training, -3 three standard deviations "
    "stranger."
)
EXAMPLES = """For example:

  longspan encode trials.longspan new.csv --out latents.csv
  longspan encode trials.longspan new.csv --reconstruct --out reconstructed.csv
  longspan encode trials.longspan new.csv --color subject --pictures map"""


def encode(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="A file that longspan train --task encode wrote.")],
    data: Source,
    *,
    reconstruct: Annotated[
        bool, typer.Option("--reconstruct", help="Give the sequences back, step by step, with the error of each.")
    ] = False,
    series: Annotated[str | None, typer.Option(metavar="COL", help="In place of the column of training.")] = None,
    time: Annotated[str | None, typer.Option(metavar="COL", help="In place of the column of training.")] = None,
    color: Annotated[str | None, typer.Option(metavar="COL", help="What colours the map of latents.")] = None,
    query: Annotated[str | None, typer.Option(metavar="SQL", help="What to read: 'SELECT ... FROM source'.")] = None,
    table: Annotated[str | None, typer.Option(metavar="NAME", help="The table of a .duckdb file.")] = None,
    out: OutFile = None,
    pictures: Annotated[Path | None, typer.Option(metavar="FOLDER", help="Draw map and reconstructions here.")] = None,
    json: Json = False,
) -> None:
    """Load, read, encode, write."""
    output = Output(json)
    check_out(out, besides=[data, model])
    encoder = load_model(model, Task.ENCODE)
    columns = _columns(encoder, data, series=series, time=time, query=query, table=table)
    examples = read_to_encode(data, replace(columns, color=color))
    rows = _steps(encoder, examples) if reconstruct else _latents(encoder, examples)
    result: dict[str, Any] = {"model": model, "data": data, "sequences": len(examples.sequences), "out": out}
    result |= give(output, rows, out, as_name="steps" if reconstruct else "latents")
    result |= give_pictures(output, pictures, _pictures(encoder, examples))
    output.result(result)


def _columns(encoder: Any, data: str, **given: str | None) -> Columns:
    """Return the columns that the model remembers, or those given in their place."""
    named: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    return replace(Columns() if is_ts(data) else Columns.from_notes(encoder.notes_), **named)


def _latents(encoder: Any, examples: Examples) -> "Rows":
    numbers = encoder.transform(examples.sequences)
    rows = {examples.columns.series or "sequence": examples.keys}
    rows |= {f"z_{place + 1}": column for place, column in enumerate(numbers.T)}
    return rows | {"score": encoder.score_samples(examples.sequences)}


def _steps(encoder: Any, examples: Examples) -> "Rows":
    import numpy as np

    lengths = examples.sequences.lengths
    rows = {
        examples.columns.series or "sequence": np.repeat(examples.keys, lengths),
        examples.columns.time or "step": step_names(lengths, examples.times),
    }
    given = flat(encoder.reconstruct(examples.sequences))
    rows |= dict(zip(channel_names(examples), given.T, strict=True))
    return rows | {"error": flat(encoder.reconstruction_error(examples.sequences))}


def _pictures(encoder: Any, examples: Examples) -> dict[str, Any]:
    from longspan.cli import _pictures as draw

    sequences, colours = examples.sequences, examples.targets
    name = examples.columns.color or "label"
    return {
        "latents.png": lambda: draw.latent_map(encoder.transform(sequences), colours, name=name),
        "reconstructions.png": lambda: draw.reconstructions(
            sequences, flat(encoder.reconstruct(sequences)), channel_names(examples), examples.keys
        ),
    }
