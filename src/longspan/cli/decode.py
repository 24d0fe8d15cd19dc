"""``longspan decode``: the text that answers each source, or texts drawn by chance."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from longspan.cli._columns import Columns
from longspan.cli._models import load_model
from longspan.cli._options import Json, Task
from longspan.cli._output import Output
from longspan.cli._pairs import Pairs, joined, read_pairs
from longspan.cli._pictures import give_pictures
from longspan.cli._rows import OutFile, check_out, give
from longspan.cli._tasks.decode import NAMES, attention_picture, decoder_scores, read_prefix

if TYPE_CHECKING:
    from longspan.cli._rows import Rows

HELP = (
    "Answer with texts, or draw texts by chance, with a model of train --task decode.\n\n"
    "A model that was trained without sources needs no DATA, and draws one text unless --sample says how many."
)
EXAMPLES = """For example:

  longspan decode g2p.longspan new.csv --beam-width 4 --out answers.csv
  longspan decode g2p.longspan old.csv --score
  longspan decode book.longspan --sample 3 --temperature 0.7 --prefix 'The ' --max-length 400 --random-state 0"""


def decode(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="A file that longspan train --task decode wrote.")],
    data: Annotated[
        str | None, typer.Argument(metavar="DATA", help="What to answer, with the columns of training.")
    ] = None,
    *,
    beam_width: Annotated[int, typer.Option(help="Beginnings kept in view; 1 is greedy.")] = 1,
    max_length: Annotated[
        int | None, typer.Option(help="Symbols of a text, at most.", show_default="twice the longest of training")
    ] = None,
    sample: Annotated[int | None, typer.Option(help="Draw so many texts, for each source.")] = None,
    temperature: Annotated[
        float | None, typer.Option(metavar="X", help="Below 1 what is probable gets more so.", show_default="1", min=0)
    ] = None,
    top_k: Annotated[int | None, typer.Option(help="Draw from so many of the most probable symbols only.")] = None,
    prefix: Annotated[
        str | None, typer.Option(metavar="TEXT", help="What each text that is drawn begins with.")
    ] = None,
    random_state: Annotated[int | None, typer.Option(help="Seed of the draw; another draw each time without.")] = None,
    scored: Annotated[bool, typer.Option("--score", help="Compare with the targets in the data.")] = False,
    series: Annotated[str | None, typer.Option(metavar="COL", help="In place of the column of training.")] = None,
    time: Annotated[str | None, typer.Option(metavar="COL", help="In place of the column of training.")] = None,
    query: Annotated[str | None, typer.Option(metavar="SQL", help="What to read: 'SELECT ... FROM source'.")] = None,
    table: Annotated[str | None, typer.Option(metavar="NAME", help="The table of a .duckdb file.")] = None,
    out: OutFile = None,
    pictures: Annotated[Path | None, typer.Option(metavar="FOLDER", help="Draw where the model looks, here.")] = None,
    json: Json = False,
) -> None:
    """Load, read, answer or draw, write."""
    output = Output(json)
    check_out(out, besides=[data, model])
    decoder = load_model(model, Task.DECODE)
    columns = _columns(decoder, series=series, time=time, query=query, table=table)
    drawing: dict[str, Any] = {"temperature": temperature, "top_k": top_k, "prefix": prefix}
    drawing |= {"random_state": random_state}
    drawing = {name: value for name, value in drawing.items() if value is not None}
    _check(decoder, data, scored=scored, sample=sample, drawing=drawing, beam_width=beam_width)
    pairs = None if data is None else read_pairs(data, columns, answers=scored)
    result: dict[str, Any] = {"model": model, "data": data, "out": out}
    if scored and pairs is not None:
        scores = decoder_scores(decoder, pairs)
        output.table(("", "score"), [(NAMES[name], value) for name, value in scores["score"].items()])
        result |= {"pairs": len(pairs)} | scores
    if not (scored and (out is None or decoder.source_ == "nothing")):
        result |= _texts(output, decoder, pairs, columns, out, sample, drawing, beam_width, max_length)
    result |= give_pictures(output, pictures, _pictures(decoder, pairs))
    output.result(result)


def _columns(decoder: Any, **given: str | None) -> Columns:
    named: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    return replace(Columns.from_notes(decoder.notes_), **named)


def _check(
    decoder: Any, data: str | None, *, scored: bool, sample: int | None, drawing: dict[str, Any], beam_width: int
) -> None:
    """Raise for options that do not go together."""
    alone = decoder.source_ == "nothing"
    if data is None and not alone:
        raise typer.BadParameter("the model answers sources: name a file with them.", param_hint="DATA")
    if data is not None and alone and not scored:
        message = "the model was trained without sources, so there is nothing to answer; with --score it rates texts."
        raise typer.BadParameter(message, param_hint="DATA")
    if scored and data is None:
        raise typer.BadParameter("there is nothing to compare with: name a file.", param_hint="--score")
    if sample is None and not alone and drawing:
        flag = f"--{next(iter(drawing)).replace('_', '-')}"
        raise typer.BadParameter("belongs to texts that are drawn: add --sample N.", param_hint=flag)
    if beam_width != 1 and (sample is not None or drawing):
        raise typer.BadParameter(
            "searches for one text, and --sample draws them: choose one.", param_hint="--beam-width"
        )


def _texts(
    output: Output,
    decoder: Any,
    pairs: Pairs | None,
    columns: Columns,
    out: Path | None,
    sample: int | None,
    drawing: dict[str, Any],
    beam_width: int,
    max_length: int | None,
) -> dict[str, Any]:
    """Answer or draw, and give the rows."""
    sources = None if pairs is None else pairs.sources
    searching = beam_width != 1 or (sample is None and sources is not None)
    if searching:
        predicted = decoder.predict(sources, beam_width=beam_width, max_length=max_length)
        return _give(output, _rows(pairs, columns, [[answer] for answer in predicted]), out, "predictions")
    if "prefix" in drawing:
        drawing = drawing | {"prefix": read_prefix(decoder, drawing["prefix"], columns.split)}
    drawn = decoder.sample(1 if sample is None else sample, sources, max_length=max_length, **drawing)
    return _give(output, _rows(pairs, columns, [drawn] if sources is None else drawn, numbered=True), out, "samples")


def _rows(pairs: Pairs | None, columns: Columns, texts: list[list[Any]], *, numbered: bool = False) -> "Rows":
    """Return one row for each text, with what it answers."""
    import numpy as np

    rows: Rows = {}
    counts = [len(group) for group in texts]
    if pairs is not None and pairs.texts is not None:
        rows[columns.source or "source"] = np.repeat(np.array(pairs.texts, dtype=object), counts)
    elif pairs is not None and pairs.keys is not None:
        rows[columns.series or "sequence"] = np.repeat(pairs.keys, counts)
    if numbered:
        rows["sample"] = np.concatenate([np.arange(1, count + 1) for count in counts])
    said = [joined(text, columns.split) for group in texts for text in group]
    name = f"predicted_{columns.targets[0]}" if columns.targets else "text"
    return rows | {name: np.array(said, dtype=object)}


def _give(output: Output, rows: "Rows", out: Path | None, name: str) -> dict[str, Any]:
    """Give the rows; texts that stand for themselves are shown whole, not in a table."""
    texts = rows.get("text")
    if texts is None or out is not None or output.json:
        return give(output, rows, out, as_name=name)
    output.say("\n\n----\n\n".join(texts.tolist()))
    return {}


def _pictures(decoder: Any, pairs: Pairs | None) -> dict[str, Any]:
    if pairs is None or not decoder.network_.attends:
        return {}
    return {"attention.png": lambda: attention_picture(decoder, pairs)}
