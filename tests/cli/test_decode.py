"""Training, using and drawing a decoder from the command line."""

import csv
import json
import math
import warnings
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import longspan
from longspan.cli import app
from longspan.cli._columns import Columns
from longspan.cli._pairs import Pairs, hold_out_pairs, split_texts
from longspan.cli._text_scores import answers_score, edit_distance, most_frequent, perplexity_of_frequencies
from longspan.errors import EmptyDataError
from longspan.io import write_table

TINY = ("--hidden-size", "4", "--max-epochs", "1")
PAIRS = ("--task", "decode", "--source", "word", "--target", "sounds", "--split", " ", *TINY)
TEXT = "the cat sat on the mat, and the rat sat on the cat. " * 12


def words() -> dict[str, np.ndarray]:
    """60 words, spelled backwards with spaces between."""
    rng = np.random.default_rng(0)
    found = ["".join(rng.choice(list("abc"), size=size)) for size in rng.integers(2, 6, size=60)]
    return {"word": np.array(found), "sounds": np.array([" ".join(word[::-1].upper()) for word in found])}


@pytest.fixture
def pairs() -> Path:
    write_table("words.csv", words())
    return Path("words.csv")


@pytest.fixture
def book() -> Path:
    Path("book.txt").write_text(TEXT, "utf-8")
    return Path("book.txt")


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with pairs.longspan and book.longspan."""
    folder = tmp_path_factory.mktemp("models")
    write_table(folder / "words.csv", words())
    (folder / "book.txt").write_text(TEXT, "utf-8")
    for data, options in (("words.csv", PAIRS), ("book.txt", ("--task", "decode", *TINY))):
        out = folder / f"{data.partition('.')[0]}.longspan"
        arguments = ("train", folder / data, "--out", out, *options, "--test-fraction", "0", "--quiet")
        result = CliRunner().invoke(app, [str(a) for a in arguments], catch_exceptions=False)
        assert result.exit_code == 0, result.output
    return folder


def test_training_on_pairs(run_json, pairs):
    found = run_json("train", pairs, "--out", "m.longspan", *PAIRS)
    assert (found["data"]["symbols"], found["data"]["source_symbols"]) == (3, 3)
    assert found["data"]["train"] + found["data"]["test"] == 60
    for part in (found["score"], found["constant"]):
        assert set(part) == {"exact", "symbol_error_rate", "perplexity"}
    assert found["constant"]["perplexity"] == pytest.approx(4, abs=1)  # three symbols and the end
    assert found["examples"][0].keys() == {"source", "target", "predicted"}
    assert found["pictures"] == ["m-pictures/learning-curve.png", "m-pictures/attention.png"]
    notes = longspan.load("m.longspan").notes_
    assert notes["columns"] | {"source": "word", "split": " ", "targets": ["sounds"]} == notes["columns"]


def test_text_of_training(run, pairs):
    result = run("train", pairs, "--out", "m.longspan", *PAIRS, "--quiet", "--test-fraction", "0.5")
    assert (result.exit_code, result.stderr) == (0, "")
    assert "60 pairs, sources of 3 different symbols, targets of 2 to 5 symbols, 3 different" in result.stdout
    assert "symbol error rate" in result.stdout
    assert "for example" in result.stdout


def test_a_text_alone(run_json, run, book):
    found = run_json("train", book, "--task", "decode", "--out", "m.longspan", *TINY)
    assert found["data"]["longest"] == len(TEXT)
    assert found["score"]["bits_per_symbol"] == pytest.approx(math.log2(found["score"]["perplexity"]))
    assert found["pictures"] == ["m-pictures/learning-curve.png"]
    again = run("train", book, "--task", "decode", "--out", "n.longspan", *TINY, "--quiet")
    assert f"trained on {round(0.8 * len(TEXT))} symbols" in again.stdout
    assert "bits per symbol" in again.stdout
    estimator = longspan.load("m.longspan")
    held = TEXT[round(0.8 * len(TEXT)) :]
    assert found["score"]["perplexity"] == pytest.approx(estimator.perplexity(None, [held]))
    assert found["constant"]["perplexity"] == pytest.approx(perplexity_of_frequencies([TEXT[: -len(held)]], [held]))


def test_texts_without_sources_from_a_table(run_json, pairs):
    found = run_json("train", pairs, "--task", "decode", "--target", "word", "--out", "m", *TINY)
    assert set(found["score"]) == {"perplexity", "bits_per_symbol"}
    drawn = run_json("decode", "m", "--sample", "3", "--random-state", "0")["samples"]
    assert [row["sample"] for row in drawn] == [1, 2, 3]
    assert set("".join(row["predicted_word"] for row in drawn)) <= set("abc")


def test_series_of_numbers_with_a_text(run_json, table):
    options = ("--task", "decode", "--series", "trial", "--time", "ms", "--features", "x,noise", "--target", "answer")
    found = run_json("train", table, *options, "--out", "m.longspan", *TINY)
    assert found["data"]["features"] == ["x", "noise"]
    assert found["constant"]["exact"] > 0
    rows = run_json("decode", "m.longspan", table, "--pictures", "drawn")
    assert [row["trial"] for row in rows["predictions"]] == list(range(1000, 1040))
    assert rows["pictures"] == ["drawn/attention.png"]


@cache
def expected(folder: Path) -> list[str]:
    return [" ".join(said) for said in longspan.load(folder / "words.longspan").predict(words()["word"].tolist())]


def test_answers_are_those_of_the_estimator(run, run_json, models, pairs):
    model = models / "words.longspan"
    found = run_json("decode", model, pairs)["predictions"]
    assert [row["predicted_sounds"] for row in found] == expected(models)
    assert run("decode", model, pairs, "--out", "a.csv").stdout == "60 rows: a.csv\n"
    with Path("a.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["word"] for row in rows] == words()["word"].tolist()
    assert [row["predicted_sounds"] for row in rows] == expected(models)


def test_a_beam_and_a_length(run_json, models, pairs):
    found = run_json("decode", models / "words.longspan", pairs, "--beam-width", "3", "--max-length", "2")
    estimator = longspan.load(models / "words.longspan")
    said = estimator.predict(words()["word"].tolist(), beam_width=3, max_length=2)
    assert [row["predicted_sounds"] for row in found["predictions"]] == [" ".join(answer) for answer in said]


def test_scores(run_json, run, models, pairs):
    found = run_json("decode", models / "words.longspan", pairs, "--score")
    truth = words()["sounds"].tolist()
    right = [a == b for a, b in zip(truth, expected(models), strict=True)]
    assert found["score"]["exact"] == pytest.approx(np.mean(right))
    assert "predictions" not in found
    found = run_json("decode", models / "book.longspan", models / "book.txt", "--score")
    perplexity = longspan.load(models / "book.longspan").perplexity(None, [TEXT])
    assert found["score"]["perplexity"] == pytest.approx(perplexity)
    assert "bits per symbol" in run("decode", models / "book.longspan", models / "book.txt", "--score").stdout


def test_samples_are_those_of_the_estimator(run, run_json, models, pairs):
    drawing = ("--sample", "2", "--temperature", "0.7", "--prefix", "the ", "--top-k", "5", "--max-length", "20")
    found = run_json("decode", models / "book.longspan", *drawing, "--random-state", "0")
    estimator = longspan.load(models / "book.longspan")
    said = estimator.sample(2, temperature=0.7, prefix="the ", top_k=5, max_length=20, random_state=0)
    assert [row["text"] for row in found["samples"]] == said
    assert run("decode", models / "book.longspan", *drawing, "--random-state", "0").stdout.split("\n\n----\n\n") == [
        said[0],
        said[1] + "\n",
    ]
    of_each = run_json("decode", models / "words.longspan", pairs, "--sample", "2", "--random-state", "1")["samples"]
    assert [row["sample"] for row in of_each] == [1, 2] * 60
    assert [row["word"] for row in of_each[:4]] == np.repeat(words()["word"][:2], 2).tolist()


MISTAKES = [
    (2, "name a file with them", ("decode", "words.longspan")),
    (2, "without sources", ("decode", "book.longspan", "words.csv")),
    (2, "name a file", ("decode", "book.longspan", "--score")),
    (2, "add --sample N", ("decode", "words.longspan", "words.csv", "--temperature", "0.5")),
    (2, "choose one", ("decode", "book.longspan", "--sample", "2", "--beam-width", "2")),
    (2, "more than max_length", ("decode", "book.longspan", "--prefix", "the cat", "--max-length", "3")),
    (2, "has 'Z', which was not there", ("decode", "book.longspan", "--prefix", "Zoo")),
    (2, "wider than the alphabet", ("decode", "words.longspan", "words.csv", "--beam-width", "9")),
    (1, "has 'z' at step 0, a symbol that was not there", ("decode", "words.longspan", "unseen.csv")),
    (1, "there is no column 'word'", ("decode", "words.longspan", "trials.csv")),
    (1, "'sounds' is empty in row 2", ("train", "gaps.csv", *PAIRS, "--out", "m")),
    (1, "'word' is missing in 1 rows; the first is row 1", ("train", "missing.csv", *PAIRS, "--out", "m")),
    (2, "the column to learn is needed", ("train", "words.csv", "--task", "decode", "--out", "m")),
    (2, "one text can be learned", ("train", "words.csv", *PAIRS, "--target", "word", "--out", "m")),
    (2, "name them with --series", ("train", "words.csv", *PAIRS, "--features", "x", "--out", "m")),
    (2, "the rows of a series", ("train", "words.csv", *PAIRS, "--series", "x", "--out", "m")),
    (1, "is empty: there is no text", ("train", "blank.txt", "--task", "decode", "--out", "m")),
    (1, "is no text: it has zero bytes", ("train", "binary.txt", "--task", "decode", "--out", "m")),
    (1, "no text in UTF-8: byte 3 is 0xe9", ("train", "latin.txt", "--task", "decode", "--out", "m")),
    (1, "there is no file bok.txt", ("train", "bok.txt", "--task", "decode", "--out", "m")),
    (2, "would replace it", ("train", "book.txt", "--task", "decode", "--out", "book.txt")),
    (2, "would replace it", ("decode", "words.longspan", "words.csv", "--out", "words.csv")),
    (2, "attention is", ("train", "words.csv", *PAIRS, "--attention", "much", "--out", "m")),
]


@pytest.mark.parametrize(
    ("code", "words_said", "arguments"), MISTAKES, ids=[f"{n}-{mistake[1]}" for n, mistake in enumerate(MISTAKES)]
)
def test_mistake(run, models, pairs, book, table, code, words_said, arguments):
    for name in ("words.longspan", "book.longspan"):
        Path(name).write_bytes((models / name).read_bytes())
    Path("unseen.csv").write_text("word\nzebra\n", "utf-8")
    Path("gaps.csv").write_text('word,sounds\na,A\nb," "\n', "utf-8")
    Path("missing.csv").write_text("word,sounds\n,A\nb,B\n", "utf-8")
    Path("blank.txt").write_text(" \n", "utf-8")
    Path("binary.txt").write_bytes(b"PK\x03\x04\0\0")
    Path("latin.txt").write_bytes("caf\xe9".encode("latin1"))
    result = run(*arguments, "--json")
    assert result.exit_code == code, result.output
    assert words_said in json.loads(result.stdout)["error"]["message"]
    assert result.stderr.startswith("error: ")
    assert not Path("m").exists()


def test_texts_to_test_on_with_unseen_symbols_count_as_wrong(run, models):
    Path("new.csv").write_text("word,sounds\nab,B A\nzb,B Z\n", "utf-8")
    Path("other.txt").write_text("the cat?", "utf-8")
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        pairs = run("decode", models / "words.longspan", "new.csv", "--score", "--json")
        text = run("decode", models / "book.longspan", "other.txt", "--score", "--json")
    wrong = "1 text to test on has symbols that never occur in training, and counts as wrong: 'Z', 'z'."
    assert pairs.stderr == f"warning: {wrong}\n"
    assert json.loads(pairs.stdout)["score"]["exact"] in (0, 0.5)
    assert json.loads(pairs.stdout)["examples"][1]["predicted"] == ""
    assert text.stderr == (
        "warning: 1 symbol of the text to test on does not occur in training, and is left out: '?'.\n"
    )
    perplexity = longspan.load(models / "book.longspan").perplexity(None, ["the cat"])
    assert json.loads(text.stdout)["score"]["perplexity"] == pytest.approx(perplexity)


def test_numbers_in_columns_of_text_stay_as_they_are_written(run_json):
    Path("codes.csv").write_text("code,name\n" + "007,1.50\n010,2e3\n" * 4, "utf-8")
    columns = ("--source", "code", "--target", "name", "--test-fraction", "0")
    run_json("train", "codes.csv", "--task", "decode", *columns, "--out", "m", *TINY)
    estimator = longspan.load("m")
    assert estimator.source_symbols_ == ["0", "1", "7"]
    assert estimator.symbols_ == [".", "0", "1", "2", "3", "5", "e"]


def test_equal_sources_stay_on_one_side():
    sources = ["a", "b", "c", "d", "e"] * 4
    kept, held = hold_out_pairs(Pairs(sources, sources, None, None, sources, Columns()), 0.2, seed=0)
    assert not set(kept.sources) & set(held.sources)
    assert len(kept) + len(held) == 20


def test_splitting():
    assert split_texts(["AE1  B", "T"], " ", "x") == [["AE1", "B"], ["T"]]
    assert split_texts(["ab"], None, "x") == ["ab"]
    with pytest.raises(EmptyDataError, match="'x' is empty in row 2"):
        split_texts(["a", ""], None, "x")


def slow_distance(a: str, b: str) -> int:
    """The recursion of Wagner and Fischer, as it is written."""
    if not a or not b:
        return len(a) + len(b)
    same = slow_distance(a[1:], b[1:]) + (a[0] != b[0])
    return min(same, slow_distance(a[1:], b) + 1, slow_distance(a, b[1:]) + 1)


def test_distance():
    rng = np.random.default_rng(0)
    for _ in range(50):
        a, b = ("".join(rng.choice(list("ab"), size=rng.integers(0, 6))) for _ in range(2))
        assert edit_distance(a, b) == slow_distance(a, b)


def test_scores_by_hand():
    truth, said = [["A", "B"], ["C"]], [["A", "B"], ["C", "D"]]
    assert answers_score(truth, said) == {"exact": 0.5, "symbol_error_rate": 1 / 3}
    assert most_frequent([["A"], ["B"], ["A"]]) == ["A"]
    frequencies = {"a": 2 / 6, "b": 2 / 6, "end": 2 / 6}
    by_hand = math.exp(-sum(math.log(p) for p in frequencies.values()) / 3)
    assert perplexity_of_frequencies(["ab", "ba"], ["ab"]) == pytest.approx(by_hand)
