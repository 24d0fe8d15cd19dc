"""One optimiser step against AdamW written out, clipping, skipping, schedules."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from longspan.training import SCHEDULES, Optimiser


def linear() -> nn.Linear:
    torch.manual_seed(0)
    return nn.Linear(3, 2).double()


def squared_output(network: nn.Linear) -> torch.Tensor:
    return network(torch.tensor([[1.0, -2.0, 0.5]], dtype=torch.float64)).square().sum()


@pytest.mark.parametrize("clip_norm", [math.inf, 0.1])
def test_steps_are_those_of_adamw_with_decay_of_matrices_only(clip_norm: float) -> None:
    network = linear()
    weights = {name: p.detach().numpy().copy() for name, p in network.named_parameters()}
    optimiser = Optimiser(network, lr=0.01, weight_decay=0.1, clip_norm=clip_norm, schedule="constant")
    beta_1, beta_2 = optimiser.adam.defaults["betas"]
    first = {name: np.zeros_like(w) for name, w in weights.items()}
    second = {name: np.zeros_like(w) for name, w in weights.items()}
    for step in range(1, 4):
        loss = squared_output(network)
        gradients = dict(
            zip(weights, (g.numpy() for g in torch.autograd.grad(loss, list(network.parameters()))), strict=True)
        )
        norm = math.sqrt(sum((g**2).sum() for g in gradients.values()))
        assert optimiser.step(squared_output(network), 0.0)
        np.testing.assert_allclose(optimiser.count.norms[-1], norm, rtol=1e-12)
        for name, gradient in gradients.items():
            gradient = gradient * min(1.0, clip_norm / norm)
            first[name] = beta_1 * first[name] + (1 - beta_1) * gradient
            second[name] = beta_2 * second[name] + (1 - beta_2) * gradient**2
            corrected = first[name] / (1 - beta_1**step)
            deviation = np.sqrt(second[name] / (1 - beta_2**step)) + 1e-8
            decay = 0.1 if weights[name].ndim == 2 else 0.0
            weights[name] = weights[name] * (1 - 0.01 * decay) - 0.01 * corrected / deviation
        for name, parameter in network.named_parameters():
            np.testing.assert_allclose(parameter.detach(), weights[name], rtol=1e-9)


@pytest.mark.parametrize("factor", [math.nan, math.inf])
def test_a_gradient_that_is_not_finite_moves_nothing_and_is_counted(factor: float) -> None:
    network = linear()
    before = [p.detach().clone() for p in network.parameters()]
    optimiser = Optimiser(network, lr=0.1, weight_decay=0.1, clip_norm=1.0, schedule="constant")
    assert not optimiser.step(squared_output(network) * factor, 0.0)
    assert all((a == b).all() for a, b in zip(before, network.parameters(), strict=True))
    assert (optimiser.count.skipped, optimiser.count.taken, optimiser.has_moved) == (1, 0, False)
    assert optimiser.step(squared_output(network), 0.0)
    assert (optimiser.count.skipped, optimiser.count.taken, optimiser.has_moved) == (1, 1, True)


def test_divergence_is_many_bad_steps_in_a_row() -> None:
    network = linear()
    optimiser = Optimiser(network, lr=0.1, weight_decay=0.0, clip_norm=1.0, schedule="constant")
    for _ in range(24):
        optimiser.step(squared_output(network) * math.nan, 0.0)
    assert not optimiser.diverged
    optimiser.step(squared_output(network), 0.0)
    for _ in range(25):
        assert not optimiser.diverged
        optimiser.step(squared_output(network) * math.nan, 0.0)
    assert optimiser.diverged


def test_an_epoch_ends_with_its_own_count() -> None:
    network = linear()
    optimiser = Optimiser(network, lr=0.1, weight_decay=0.0, clip_norm=1.0, schedule="constant")
    optimiser.step(squared_output(network), 0.0)
    assert optimiser.new_epoch().taken == 1
    assert optimiser.count.taken == 0


def test_one_cycle_warms_up_and_comes_to_rest() -> None:
    one_cycle = SCHEDULES["one_cycle"]
    rates = np.array([one_cycle(progress) for progress in np.linspace(0, 1, 101)])
    assert rates[0] == 0.05
    assert rates[10] == rates.max() == 1.0
    assert (np.diff(rates[:11]) > 0).all()
    assert (np.diff(rates[10:]) < 0).all()
    np.testing.assert_allclose(rates[-1], 0, atol=1e-12)
    np.testing.assert_allclose(rates[55], 0.5, rtol=1e-12)


def test_the_schedule_sets_the_rate_of_a_step() -> None:
    network = linear()
    optimiser = Optimiser(network, lr=0.2, weight_decay=0.0, clip_norm=1.0, schedule="one_cycle")
    optimiser.step(squared_output(network), 0.05)
    assert optimiser.current_lr == pytest.approx(0.2 * 0.525)
