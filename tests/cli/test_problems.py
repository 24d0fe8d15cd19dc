from pathlib import Path

import pytest

from longspan.problems import PROBLEMS

TINY = ("--hidden-size", "4", "--batch-size", "16", "--limit", "640")


def test_all_problems_are_listed(run):
    result = run("problems")
    assert result.exit_code == 0
    for problem in PROBLEMS.values():
        line = next(line for line in result.stdout.splitlines() if line.split()[:1] == [problem.name])
        for fact in (problem.title, f"{problem().lag:,}", str(problem().criterion)):
            assert fact in line


def test_list_as_json(run_json):
    found = {each["name"]: each for each in run_json("problems")["problems"]}
    assert list(found) == list(PROBLEMS)
    assert found["copy"]["parameters"] == {"length": 100}
    assert found["copy"]["lag"] == 110
    assert found["copy"]["memoryless_loss"] == pytest.approx(0.1733, abs=1e-4)
    assert found["two-sequence"]["guessable"] is True
    assert found["adding"]["loss"] == "mean squared error"


def test_run_has_every_value(run_json):
    found = run_json(
        "problems", "run", "adding", "--length", "50", *TINY, "--cell", "lstm,rnn,gru,feedforward", "--seeds", "2",
        "--window", "5", "--picture", "here/adding.png",
    )  # fmt: skip
    assert found["problem"]["parameters"] == {"length": 50}
    assert found["settings"]["seeds"] == 2
    assert found["settings"]["limit"] == 640
    cells = {cell["cell"]: cell for cell in found["cells"]}
    assert list(cells) == ["lstm", "rnn", "gru", "feedforward"]
    for cell in cells.values():
        assert (cell["seeds"], cell["solved"]) == (2, 0)
        assert cell["sequences"] == {"median": None, "lowest": None, "highest": None}
        assert [run["seed"] for run in cell["runs"]] == [0, 1]
        for run in cell["runs"]:
            assert run["sequences"] == 640
            assert [seen for seen, _ in run["history"]] == [320, 640]
            assert run["end"] == "limit"
        losses = [run["loss"] for run in cell["runs"]]
        assert cell["loss"] == pytest.approx(sum(losses) / 2)
    assert cells["lstm"]["init"] == "chrono"
    assert cells["rnn"]["init"] is None
    assert cells["feedforward"]["gradient_span"] == 5
    assert cells["feedforward"]["gradient_by_lag"] is None
    assert cells["rnn"]["gradient_span"] < 20 < cells["lstm"]["gradient_span"]
    assert found["picture"] == "here/adding.png"
    assert Path(found["picture"]).read_bytes()[:4] == b"\x89PNG"


def test_gradient_of_a_plain_rnn_reaches_a_fifth_as_far_as_that_of_a_chrono_lstm(run_json):
    found = run_json(
        "problems", "run", "adding", "--length", "200", "--cell", "lstm,rnn", "--limit", "16", "--batch-size", "16"
    )
    spans = {cell["cell"]: cell["gradient_span"] for cell in found["cells"]}
    assert spans["lstm"] >= 5 * spans["rnn"]


def test_what_is_solved_is_counted(run_json):
    found = run_json(
        "problems", "run", "noise-free", "--length", "2", "--hidden-size", "8", "--limit", "9600",
        "--learning-rate", "0.03", "--seeds", "3",
    )  # fmt: skip
    (cell,) = found["cells"]
    seen = sorted(run["sequences"] for run in cell["runs"])
    assert cell["solved"] == cell["seeds"] == 3
    assert cell["sequences"] == {"median": seen[1], "lowest": seen[0], "highest": seen[2]}
    assert found["picture"] is None


def test_what_is_for_an_lstm_leaves_other_cells_as_they_are(run_json):
    found = run_json(
        "problems", "run", "copy", "--length", "3", *TINY, "--limit", "16", "--cell", "lstm,gru",
        "--max-lag", "500", "--cell-options", "layer_norm=true,coupled=true",
    )  # fmt: skip
    assert found["settings"]["max_lag"] == 500
    assert found["settings"]["cell_options"] == {"layer_norm": True, "coupled": True}
    lstm, gru = found["cells"]
    head = (4 + 1) * 9
    assert lstm["parameters"] == 3 * 4 * (10 + 4 + 2) + 2 * 3 * 4 + 2 * 4 + head
    assert gru["parameters"] == 3 * 4 * (10 + 4 + 2) + head


def test_text(run):
    result = run("problems", "run", "copy", "--length", "3", *TINY, "--cell", "rnn")
    assert result.exit_code == 0
    assert "solved when: 990 of 1,000 sequences copied without a mistake" in result.stdout
    row = next(line for line in result.stdout.splitlines() if line.split()[:1] == ["RNN"])
    assert "0 of 1" in row
    assert "more than 640" in row
    assert any(line.split()[:2] == ["no", "memory"] for line in result.stdout.splitlines())
    assert "640" in result.stderr
    assert list(Path().iterdir()) == []


def test_a_problem_that_guessing_solves_is_said_to_be_one(run):
    result = run("problems", "run", "two-sequence", "--length", "5", *TINY, "--cell", "rnn", "--quiet")
    assert "Guessing weights at random solves this problem, too" in result.stdout
    assert result.stderr == ""


def test_guessing_stands_beside_what_it_solves(run, run_json):
    found = run_json("problems", "run", "two-sequence", *TINY, "--cell", "rnn", "--seeds", "2")
    assert found["guessing"]["solved"] == found["guessing"]["seeds"] == 2
    assert found["guessing"]["sequences"]["lowest"] < found["guessing"]["sequences"]["highest"]
    assert run_json("problems", "run", "adding", *TINY, "--cell", "rnn")["guessing"] is None
    result = run("problems", "run", "two-sequence", *TINY, "--cell", "rnn", "--quiet")
    row = next(line for line in result.stdout.splitlines() if line.split()[:1] == ["guessed"])
    assert "1 of 1" in row


def test_other_parameters(run_json):
    found = run_json(
        "problems", "run", "distractors", "--length", "5", "--options", "symbols=3", *TINY, "--cell", "rnn"
    )
    assert found["problem"]["parameters"] == {"length": 5, "symbols": 3}
    assert found["problem"]["input_size"] == 7


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("ading",), "Did you mean 'adding'"),
        (("reber", "--length", "9"), "no parameter 'length'"),
        (("adding", "--length", "1"), "at least 2"),
        (("adding", "--cell", "lstm,transformer"), "'transformer'"),
        (("adding", "--cell", ","), "names no cell"),
        (("adding", "--init", "zeros"), "init is one of"),
        (("adding", "--options", "symbols"), "must be name=value"),
        (("adding", "--seeds", "0"), "seeds"),
        (("adding", "--learning-rate", "0"), "learning-rate"),
    ],
)
def test_bad_usage(run, arguments, said):
    result = run("problems", "run", *arguments)
    assert result.exit_code == 2
    assert said in result.stderr
    assert "Traceback" not in result.output


def test_ctrl_c_shows_what_there_is(run, monkeypatch):
    from longspan.trials import trial

    real = trial._Trial._learn_some

    def interrupted(self):
        if self.seed == 1:
            raise KeyboardInterrupt
        real(self)

    monkeypatch.setattr(trial._Trial, "_learn_some", interrupted)
    result = run("problems", "run", "adding", "--length", "5", *TINY, "--cell", "rnn,gru", "--seeds", "2")
    assert result.exit_code == 130
    assert "interrupted" in result.stderr
    row = next(line for line in result.stdout.splitlines() if line.split()[:1] == ["RNN"])
    assert "0 of 1" in row
    assert not any(line.split()[:1] == ["GRU"] for line in result.stdout.splitlines())
