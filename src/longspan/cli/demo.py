"""``longspan demo``: real speech, an LSTM beside an RNN, a GRU and a feed-forward network of the same size."""

import math
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from longspan.cli._memory import COLUMNS, cells, memory_span
from longspan.cli._models import facts_of
from longspan.cli._options import Json, Verbose
from longspan.cli._output import INTERRUPTED, Output, fail
from longspan.cli._pictures import save_pictures

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from longspan.data import SpeakerData
    from longspan.estimators import LSTMClassifier

HELP = "Tell nine speakers apart, with an LSTM and with three other networks: a first look, on real speech."
EXAMPLES = """For example:

  longspan demo
  longspan demo --out first-look --seed 1 --json"""

_CELLS = ("lstm", "rnn", "gru", "feedforward")


def demo(
    *,
    out: Annotated[Path, typer.Option(metavar="FOLDER", help="Where the picture and the model go.")] = Path(
        "longspan-demo"
    ),
    seed: Annotated[int, typer.Option(help="Seed of all that is drawn by chance.", min=0)] = 0,
    verbose: Verbose = None,
    json: Json = False,
) -> None:
    """Train four classifiers on Japanese Vowels, compare them, draw, and save the LSTM."""
    from longspan.data import load_japanese_vowels

    output = Output(json, verbose)
    out.mkdir(parents=True, exist_ok=True)
    speakers = load_japanese_vowels()
    facts = _facts(speakers)
    _say_facts(output, facts)
    classifiers: dict[str, LSTMClassifier] = {}
    models = []
    for cell in _CELLS:
        classifiers[cell], model = _train(cell, speakers, seed=seed, verbose=int(output.shows_progress))
        if model["stop_reason"] == "interrupted":
            fail("interrupted.", "KeyboardInterrupt", INTERRUPTED, json=json)
        models.append(model | memory_span(classifiers[cell], speakers.X_test, speakers.y_test))
    _say_models(output, models)
    if max(model["interval"][0] for model in models) < min(model["interval"][1] for model in models):
        output.say(f"The intervals overlap: on at most {facts['longest']} steps, no network is clearly the best.")
    output.say(
        "Gradient, used and needed: steps back that a network can learn over, looks at, and should look at.\n"
        f"More of it:  longspan memory {out / 'speaker.longspan'} DATA"
    )
    classifiers["lstm"].save(out / "speaker.longspan")
    saved = save_pictures(out, {"demo.png": lambda: _draw(speakers, classifiers, models)})
    if saved:
        output.say(f"picture: {saved[0]}")
    output.say(f"model:   {out / 'speaker.longspan'}")
    picture = saved[0] if saved else None
    output.result({"data": facts, "models": models, "picture": picture, "model": out / "speaker.longspan"})


def _facts(speakers: "SpeakerData") -> dict[str, Any]:
    lengths = [*speakers.X_train.lengths, *speakers.X_test.lengths]
    return {
        "name": "Japanese Vowels",
        "train": len(speakers.X_train),
        "test": len(speakers.X_test),
        "classes": len(set(speakers.y_train.tolist())),
        "features": speakers.X_train.n_features,
        "shortest": int(min(lengths)),
        "longest": int(max(lengths)),
        "source": "Kudo, Toyama and Shimbo 1999, UCI Machine Learning Repository, CC BY 4.0",
    }


def _say_facts(output: Output, facts: dict[str, Any]) -> None:
    output.say(f"{facts['name']}: real speech, nine men saying two vowels. Who is speaking? ({facts['source']})")
    output.say(
        f"{facts['train']} utterances to learn from, {facts['test']} to test on, {facts['shortest']} to "
        f"{facts['longest']} steps of {facts['features']} features, {facts['classes']} speakers"
    )


def _train(cell: str, speakers: "SpeakerData", *, seed: int, verbose: int) -> tuple["LSTMClassifier", dict[str, Any]]:
    from longspan.estimators import LSTMClassifier

    began = time.perf_counter()
    classifier = LSTMClassifier(cell=cell, match_parameters=cell != "lstm", random_state=seed, verbose=verbose)
    classifier.fit(speakers.X_train, speakers.y_train)
    seconds = time.perf_counter() - began
    right = int((classifier.predict(speakers.X_test) == speakers.y_test).sum())
    return classifier, {
        **facts_of(classifier),
        "accuracy": right / len(speakers.X_test),
        "interval": _interval(right, len(speakers.X_test)),
        "seconds": seconds,
    }


def _interval(right: int, of: int) -> tuple[float, float]:
    """Return Wilson's interval of 95% around a share.

    Examples
    --------
    >>> ["%.3f" % bound for bound in _interval(365, 370)]
    ['0.969', '0.994']
    """
    z = 1.959964
    share, spread = right / of, z * z / of
    middle = (share + spread / 2) / (1 + spread)
    half = z / (1 + spread) * math.sqrt(share * (1 - share) / of + spread / (4 * of))
    return middle - half, middle + half


def _say_models(output: Output, models: list[dict[str, Any]]) -> None:
    output.table(
        ("cell", "test accuracy", "95% interval", "parameters", "seconds", *COLUMNS),
        (
            (
                model["cell"],
                model["accuracy"],
                "{:.3f} to {:.3f}".format(*model["interval"]),
                model["parameters"],
                f"{model['seconds']:.1f}",
                *cells(model),
            )
            for model in models
        ),
    )


def _draw(speakers: "SpeakerData", classifiers: dict[str, "LSTMClassifier"], models: list[dict[str, Any]]) -> "Figure":
    from longspan.cli._demo_picture import demo_figure

    histories = {cell: classifier.history_ for cell, classifier in classifiers.items()}
    return demo_figure(speakers, models, histories, classifiers["lstm"].predict(speakers.X_test))
