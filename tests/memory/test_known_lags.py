"""Verdicts on copy memory, whose lag is known: of a network that copies, and of two that have not learned to."""

import pytest
import torch

from longspan import memory_report
from longspan.nn import RNN
from longspan.problems import Copy
from longspan.tasks import NetworkConfig, SequenceNetwork
from longspan.trials import TrialSettings, make_network

PROBLEM = Copy(60)


def copying() -> SequenceNetwork:
    """A network made by hand that copies without a mistake: a shift register of what it read."""
    length = PROBLEM.lag + 1
    network = SequenceNetwork(
        NetworkConfig(10, 9, cell="rnn", hidden_size=length + 1, pooling=None, bidirectional=False)
    )
    network.cell = cell = RNN(10, length + 1, nonlinearity="relu")
    classes = torch.arange(1.0, 10.0)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.zero_()
        cell.weight_ih_l0[0] = torch.arange(1.0, 11.0).clamp(max=9.0)  # symbols are 1 to 8, all others 9
        cell.weight_hh_l0[torch.arange(1, length), torch.arange(length - 1)] = 1.0
        cell.weight_hh_l0[length, length - 2] = -1.0  # the last unit is 1 until the register is full
        cell.bias_ih_l0[length] = 1.0
        network.head.weight[:, length - 1] = 20 * classes  # -10 (s - k)^2, but for what all classes share
        network.head.bias.copy_(-10 * classes.square())
        network.head.weight[8, length] = 1e4
    return network


def test_the_network_copies() -> None:
    network = copying()
    X, Y = PROBLEM.dataset(1, random_state=0)
    packed = torch.nn.utils.rnn.pack_sequence([torch.from_numpy(X[0])])
    assert network(packed).argmax(dim=-1).tolist() == Y[0].tolist()


def test_a_network_that_copies_suffices() -> None:
    report = memory_report(copying(), *PROBLEM.dataset(60, random_state=0), lag=PROBLEM.lag)
    assert report.verdict == "memory_suffices"
    assert report.used_span == pytest.approx(PROBLEM.lag + 1, rel=0.03)  # as near as contexts are closed in
    assert report.gradient_span == PROBLEM.lag + 1
    assert report.facts["score"] == 1.0


@pytest.mark.parametrize(("cell", "verdict"), [("lstm", "unused_signal"), ("rnn", "vanishing_gradient")])
def test_networks_before_training(cell: str, verdict: str) -> None:
    problem = Copy(200)
    network = make_network(problem, TrialSettings(cell=cell, hidden_size=16))
    report = memory_report(network, *problem.dataset(60, random_state=0), lag=problem.lag)
    assert report.verdict == verdict
    assert report.used_span < 0.1 * problem.lag
