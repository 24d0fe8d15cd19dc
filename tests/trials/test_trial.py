"""A network learns a problem until it solves it."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from longspan.errors import ParameterError
from longspan.problems import Adding, Copy, EmbeddedReber, NoiseFree, TemporalOrder, TwoSequence, VariableCopy
from longspan.tasks import CELLS
from longspan.trials import TrialSettings, make_network, run_trial
from longspan.trials.batches import FreshBatches, Scaling, batch_of, make_task
from longspan.trials.examination import Examiner

TINY = TrialSettings(hidden_size=6, limit=64, check_every=32, batch_size=16)


def weights_of(outcome):
    return {name: tensor.clone() for name, tensor in outcome.network.state_dict().items()}


def test_an_lstm_learns_to_recall_over_fifty_steps():
    outcome = run_trial(TwoSequence(length=50), TrialSettings(hidden_size=16, limit=10_000, lr=0.01), seed=1)
    assert outcome.end == "solved"
    assert outcome.solved
    assert outcome.sequences < 10_000
    assert outcome.examination.right >= 0.98
    assert outcome.examination.loss < 0.02
    assert outcome.history[-1].sequences == outcome.sequences
    assert outcome.history[-1].loss < 0.1 < outcome.history[0].loss


@pytest.mark.parametrize("cell", CELLS)
def test_what_is_solved_is_solved_by_every_cell(cell):
    """The noise-free problem of two steps needs no more memory than a window has."""
    outcome = run_trial(NoiseFree(2), TrialSettings(cell=cell, hidden_size=8, limit=6400, lr=0.03, window=4))
    assert outcome.solved
    assert outcome.settings.cell == cell
    assert outcome.examination.loss < 0.3


def test_what_lies_outside_the_window_of_a_feed_forward_network_cannot_be_learned():
    settings = TrialSettings(cell="feedforward", window=4, hidden_size=8, limit=1600)
    outcome = run_trial(TwoSequence(length=20), settings)
    assert outcome.end == "limit"
    assert outcome.sequences == 1600
    assert outcome.examination.loss == pytest.approx(0.25, rel=0.1)


def test_equal_seeds_give_equal_outcomes():
    one, same, other = (run_trial(Adding(8), TINY, seed=seed) for seed in (3, 3, 4))
    for name, tensor in one.network.state_dict().items():
        assert torch.equal(tensor, same.network.state_dict()[name])
    assert one.history == same.history
    assert one.examination == same.examination
    assert one.history != other.history


def test_the_generator_of_torch_is_left_as_it_was():
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    run_trial(Adding(8), TINY)
    assert torch.equal(torch.rand(1), expected)


@pytest.mark.parametrize("problem", [Copy(3), VariableCopy(5), EmbeddedReber(), TemporalOrder(20), Adding(8)])
def test_progress_is_told_and_counts_sequences(problem):
    told = []
    outcome = run_trial(problem, replace(TINY, limit=100), on_progress=told.append)
    assert [each.sequences for each in told] == [32, 64, 96, 100]
    assert outcome.history == told
    assert outcome.sequences == 100
    assert all(np.isfinite(each.loss) for each in told)


def test_the_first_loss_is_that_of_an_untrained_network():
    problem = Copy(10)
    outcome = run_trial(problem, replace(TINY, lr=1e-9))
    assert outcome.history[0].loss == pytest.approx(np.log(9), rel=0.1)


def test_ctrl_c_gives_what_there_is():
    def interrupt(progress):
        if progress.sequences == 64:
            raise KeyboardInterrupt

    outcome = run_trial(Adding(8), replace(TINY, limit=1000), on_progress=interrupt)
    assert outcome.end == "interrupted"
    assert not outcome.solved
    assert outcome.sequences == 64
    assert np.isfinite(outcome.examination.loss)


def test_steps_that_are_not_finite_are_skipped_and_counted(monkeypatch):
    real, calls = Adding._draw, []

    def broken(self, n, rng):
        sample = real(self, n, rng)
        calls.append(n)
        if n == 16 and len(calls) == 3:
            sample.values[0] = np.inf
        return sample

    monkeypatch.setattr(Adding, "_draw", broken)
    outcome = run_trial(Adding(8), TINY)
    assert outcome.skipped_steps == 1
    assert outcome.end == "limit"


def test_a_network_that_is_lost_ends_the_trial(monkeypatch):
    real = Adding._draw

    def broken(self, n, rng):
        sample = real(self, n, rng)
        if n == 16:
            sample.values[:] = np.nan
        return sample

    monkeypatch.setattr(Adding, "_draw", broken)
    outcome = run_trial(Adding(8), replace(TINY, limit=16 * 100, check_every=16 * 50))
    assert outcome.end == "diverged"
    assert outcome.skipped_steps == 25


def test_plain_values():
    outcome = run_trial(Adding(8), TINY)
    found = outcome.to_dict()
    assert found["end"] == "limit"
    assert found["solved"] is False
    assert found["sequences"] == 64
    assert [sequences for sequences, _ in found["history"]] == [32, 64]
    assert found["loss"] == outcome.examination.loss
    assert found["parameters"] == outcome.parameters == 4 * 6 * (2 + 6 + 2) + 7
    assert "network" not in found


# Making networks ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "init", "max_lag"),
    [
        (TrialSettings(), "chrono", 110),
        (TrialSettings(init="chrono"), "chrono", 110),
        (TrialSettings(max_lag=1000), "chrono", 1000),
        (TrialSettings(init="chrono", max_lag=2), "chrono", 2),
        (TrialSettings(init="forget_bias"), "forget_bias", None),
        (TrialSettings(init="torch"), "torch", None),
        (TrialSettings(cell="gru"), "torch", None),
    ],
)
def test_initialiser(settings, init, max_lag):
    config = settings.network_config(Copy(100))
    assert (config.init, config.max_lag) == (init, max_lag)
    network = make_network(Copy(100), settings)
    assert network.pooling is None
    assert not network.cell.bidirectional


def test_a_longer_lag_opens_the_forget_gates_further():
    """Chrono draws them from log U[1, max_lag - 1]."""
    near, far = (make_network(NoiseFree(20), TrialSettings(max_lag=lag)).cell.bias_ih_l0 for lag in (20, 5000))
    forget = slice(64, 128)
    assert near[forget].exp().max() < 19 < far[forget].exp().median()
    assert torch.equal(far[:64], -far[forget])


def test_variants_of_the_lstm():
    settings = TrialSettings(cell_options={"layer_norm": True, "coupled": True})
    cell = make_network(Copy(3), settings).cell
    assert (cell.layer_norm, cell.coupled, cell.peephole) == (True, True, False)
    assert hash(settings) == hash(replace(settings, cell_options=None))
    assert settings != replace(settings, cell_options=None)


def test_networks_of_one_seed_are_equal():
    one, same, other = (make_network(Adding(), TrialSettings(), seed=seed).state_dict() for seed in (0, 0, 1))
    assert all(torch.equal(one[name], same[name]) for name in one)
    assert not torch.equal(one["head.weight"], other["head.weight"])


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"cell": "transformer"}, "cell is one of lstm, rnn, gru, feedforward, but it was 'transformer'"),
        ({"init": "zeros"}, "init is one of"),
        ({"cell": "rnn", "init": "chrono"}, "init='chrono' is for cell='lstm'"),
        ({"hidden_size": 0}, "hidden_size is 0"),
        ({"limit": 1.5}, "limit is 1.5"),
        ({"lr": 0.0}, "lr is 0.0, but it must be a positive number"),
        ({"lr": float("nan")}, "lr is nan"),
        ({"clip_norm": -1}, "clip_norm is -1"),
        ({"batch_size": True}, "batch_size is True"),
        ({"max_lag": 1}, "max_lag is 1"),
        ({"max_lag": 100.0}, "max_lag is 100.0"),
        ({"max_lag": 100, "init": "torch"}, "max_lag=100 is for chrono"),
        ({"max_lag": 100, "cell": "gru"}, "max_lag=100 is for chrono"),
        ({"cell_options": {"layer_norm": True}, "cell": "gru"}, "cell_options are variants of the LSTM, but the cell"),
        ({"cell_options": {"hidden_size": 3}}, "cell_options is None or a dict with some of coupled, layer_norm"),
        ({"cell_options": ["layer_norm"]}, "cell_options is None or a dict"),
        ({"cell_options": {"zoneout": 2.0}}, "cell_options: zoneout"),
    ],
)
def test_settings_are_checked(wrong, said):
    with pytest.raises(ParameterError, match=said):
        TrialSettings(**wrong)


# Batches and examinations ---------------------------------------------------------------------------


@pytest.mark.parametrize("problem", [VariableCopy(9), EmbeddedReber(), TemporalOrder(20)])
def test_examination_is_that_of_each_sequence_alone(problem):
    """Batches are sorted and packed: answers come back in the order of the sample."""
    network = make_network(problem, TrialSettings(hidden_size=5)).eval()
    scaling = Scaling()
    examiner = Examiner(problem, make_task(problem, network, scaling), scaling, np.random.default_rng(2))
    found = examiner.examine(30)
    sample = problem.generate(30, np.random.default_rng(2))
    losses, errors, right = [], [], []
    for number in range(30):
        one = sample[[number]]
        steps = torch.nn.utils.rnn.pack_sequence([torch.from_numpy(one.inputs[0])])
        with torch.no_grad():
            log_probabilities = network(steps).double().log_softmax(-1).numpy()
        losses += (-log_probabilities[np.arange(len(one.targets)), one.targets]).tolist()
        scores = problem.scores(one, np.exp(log_probabilities))
        errors.append(scores.errors[0])
        right.append(scores.correct[0])
    assert found.loss == pytest.approx(np.mean(losses), rel=1e-5)
    assert found.error == pytest.approx(np.mean(errors), rel=1e-5)
    assert found.right == np.mean(right)


def test_numbers_are_learned_standardised_and_examined_in_their_units():
    problem = Adding(8)
    scaling = Scaling.of(problem, np.random.default_rng(0))
    assert scaling.mean == pytest.approx(1, abs=0.05)
    assert scaling.scale == pytest.approx((1 / 6) ** 0.5, rel=0.05)
    network = make_network(problem, TrialSettings(hidden_size=5)).eval()
    with torch.no_grad():
        network.head.weight.zero_()
        network.head.bias.fill_(2.0)
    task = make_task(problem, network, scaling)
    found = Examiner(problem, task, scaling, np.random.default_rng(1)).examine(500)
    targets = problem.generate(500, np.random.default_rng(1)).targets
    answer = scaling.mean + 2 * scaling.scale
    assert found.loss == pytest.approx(np.square(answer - targets).mean(), rel=1e-4)
    assert found.error == pytest.approx(np.abs(answer - targets).mean(), rel=1e-4)
    batch = batch_of(problem.generate(4, np.random.default_rng(3)), scaling)
    expected = (problem.generate(4, np.random.default_rng(3)).targets - scaling.mean) / scaling.scale
    np.testing.assert_allclose(batch.targets[:, 0].numpy(), expected, rtol=1e-5)


def test_fresh_batches_are_as_many_as_asked_for_and_never_the_same():
    batches = FreshBatches(Adding(8), Scaling(), batch_size=5, count=3)
    assert len(batches) == 3
    drawn = [batch.inputs.data for batch in batches.shuffled(np.random.default_rng(0))]
    assert len(drawn) == 3
    assert not torch.equal(drawn[0], drawn[1])
    again = [[batch.inputs.data for batch in batches.longest_first()] for _ in range(2)]
    assert all(torch.equal(one, same) for one, same in zip(*again, strict=True))


class _Answers(torch.nn.Module):
    """A network that is right about so many sequences, and wrong about the next."""

    def __init__(self, right):
        super().__init__()
        self.left = right

    def forward(self, inputs):
        marked = inputs.data.view(-1, inputs.batch_sizes[0], 2)
        answers = (marked[..., 0] * marked[..., 1]).sum(0)[:, None]
        wrong = torch.arange(len(answers)) >= self.left
        self.left -= len(answers)
        return answers + wrong[:, None] * 100.0


@pytest.mark.parametrize(("right", "solved"), [(64 + 2000, True), (64 + 1999, False), (63, False)])
def test_every_sequence_of_the_criterion_is_looked_at(right, solved):
    problem = Adding(4)
    task = make_task(problem, _Answers(right), Scaling())
    assert Examiner(problem, task, Scaling(), np.random.default_rng(0)).has_solved() is solved
