"""Forecasting: the network around its linear forecast, the losses and the quantiles, against plain references."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import stats

from longspan.data.windows import Window
from longspan.tasks import ForecasterConfig, Forecasting, ForecastNetwork
from longspan.tasks.forecast import count_forecaster_parameters, pinball_loss, quantiles_from_gaps, window_scale

CONFIG = ForecasterConfig(
    context_length=6, horizon=3, season_length=2, covariate_size=2, static_size=1, hidden_size=4, levels=(0.1, 0.5, 0.9)
)
CELLS = ["lstm", "rnn", "gru", "feedforward"]


def window(config: ForecasterConfig = CONFIG, *, count: int = 5, seed: int = 0) -> Window:
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator)

    channels = config.n_channels
    values = draw(count, config.context_length, channels)
    return Window(
        values=values - values[:, -1:],
        seen=(draw(count, config.context_length, channels) > -1).float(),
        past=draw(count, config.context_length, config.covariate_size),
        future=draw(count, config.horizon, config.covariate_size),
        static=draw(count, config.static_size + (channels if channels > 1 else 0)),
        floor=torch.full((count, channels), 1e-3),
    )


def network(config: ForecasterConfig = CONFIG, *, stirred: bool = True) -> ForecastNetwork:
    torch.manual_seed(0)
    made = ForecastNetwork(config)
    made.set_base(
        torch.randn(config.context_length, config.horizon),
        torch.randn(config.horizon),
        0.5 + torch.rand(config.horizon, config.n_spreads),
    )
    if stirred:
        torch.nn.init.normal_(made.head.weight)
    return made.double().eval()


def double(inputs: Window) -> Window:
    return Window(*(part.double() for part in inputs))


@pytest.mark.parametrize("cell", CELLS)
def test_training_begins_with_the_linear_forecast(cell: str) -> None:
    made, inputs = network(replace(CONFIG, cell=cell, window=3), stirred=False), double(window())
    outputs = made(inputs)
    for place in range(5):
        own = inputs.values[place, :, 0]
        steps, seasons = (own[1:] - own[:-1]).abs().mean(), (own[2:] - own[:-2]).abs().mean()
        scale = max(float(steps), float(seasons), 1e-3)
        expected = own / scale @ made.base_weight + made.base_bias
        np.testing.assert_allclose(outputs[place, :, 0].detach(), expected, rtol=1e-12)
        np.testing.assert_allclose(outputs[place, :, 1:].detach(), made.base_spread)
        np.testing.assert_allclose(made.scale(inputs)[place], scale)


def test_the_scale_is_the_larger_change_and_never_below_the_floor() -> None:
    values = torch.tensor([[[0.0], [2.0], [0.0], [2.0]], [[5.0], [5.0], [5.0], [5.0]]])
    found = window_scale(values, torch.tensor([[0.1], [0.25]]), season_length=2)
    assert found.ravel().tolist() == [2.0, 0.25]


@pytest.mark.parametrize("cell", CELLS)
def test_a_forecast_does_not_depend_on_its_neighbours(cell: str) -> None:
    made, inputs = network(replace(CONFIG, cell=cell)), double(window())
    together = made(inputs)
    for place in range(5):
        alone = made(Window(*(part[place : place + 1] for part in inputs)))
        torch.testing.assert_close(alone[0], together[place], rtol=1e-9, atol=1e-12)


def test_units_do_not_matter() -> None:
    made, inputs = network(), double(window())
    larger = inputs._replace(values=inputs.values * 1e4, floor=inputs.floor * 1e4)
    torch.testing.assert_close(made(larger), made(inputs), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("part", ["values", "seen", "past", "future", "static"])
def test_everything_that_is_told_is_used(part: str) -> None:
    made, inputs = network(), double(window())
    told = getattr(inputs, part)
    changed = inputs._replace(**{part: told + torch.linspace(0.5, 1, told[0].numel()).view(told[0].shape)})
    assert not torch.allclose(made(changed), made(inputs))


def test_every_weight_has_a_gradient() -> None:
    config = replace(CONFIG, n_channels=2, dropout=0.1)
    made = network(config).train()
    Forecasting(made).loss(double(window(config)), torch.ones(5, 3).double(), None).backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in made.parameters())


def test_quantiles_never_cross_whatever_the_network_says() -> None:
    made = network(replace(CONFIG, levels=(0.05, 0.1, 0.5, 0.7, 0.95)))
    with torch.no_grad():
        made.head.weight.mul_(100)
    task = Forecasting(made)
    found = task.read(made(double(window(count=50))))
    assert found.shape == (50, 3, 5)
    assert bool((found.diff(dim=-1) > 0).all())


def test_gaps_are_added_from_the_middle_outwards() -> None:
    outputs = torch.tensor([[10.0, 1.0, 2.0, 4.0, 8.0], [0.0, 1.0, 1.0, 1.0, 1.0]])
    assert quantiles_from_gaps(outputs, 2).tolist() == [[7, 9, 10, 14, 22], [-2, -1, 0, 1, 2]]
    assert quantiles_from_gaps(torch.tensor([3.0]), 0).tolist() == [3.0]


def test_pinball_loss_by_hand() -> None:
    truth = torch.tensor([10.0, 2.0])
    quantiles = torch.tensor([[8.0, 12.0], [3.0, 5.0]])
    expected = [[0.1 * 2, 0.1 * 2], [0.9 * 1, 0.1 * 3]]
    np.testing.assert_allclose(pinball_loss(truth, quantiles, (0.1, 0.9)), expected, rtol=1e-6)


@pytest.mark.parametrize("output", ["quantiles", "normal", "student_t"])
def test_loss_and_metrics_are_those_of_the_steps_that_were_measured(output: str) -> None:
    made, inputs = network(replace(CONFIG, output=output)), double(window())
    task = Forecasting(made)
    targets = torch.randn(5, 3).double()
    targets[0, 1] = targets[2, 2] = torch.nan
    outputs, scale = made(inputs).detach().numpy(), made.scale(inputs).numpy()
    losses, errors = [], []
    for row in range(5):
        for step in range(3):
            truth = targets[row, step].item() / scale[row, 0]
            if np.isnan(truth):
                continue
            location, width = outputs[row, step, :2]
            errors.append(abs(truth - location))
            if output == "normal":
                losses.append(-stats.norm.logpdf(truth, location, width))
            elif output == "student_t":
                freedom = 2 + np.log1p(np.exp(outputs[row, step, 2] + 6))
                losses.append(-stats.t.logpdf(truth, freedom, location, width))
            else:
                three = [location - width, location, location + outputs[row, step, 2]]
                losses.append(
                    np.mean(
                        [
                            max(q * (truth - v), (q - 1) * (truth - v))
                            for q, v in zip((0.1, 0.5, 0.9), three, strict=True)
                        ]
                    )
                )
    np.testing.assert_allclose(task.loss(inputs, targets, None).item(), np.mean(losses), rtol=1e-9)
    found = task.metrics(inputs, targets, None)
    assert found["weight"] == 13
    np.testing.assert_allclose(found["loss"].item(), np.sum(losses), rtol=1e-9)
    np.testing.assert_allclose(found["mae"].item(), np.sum(errors), rtol=1e-9)


def test_gradients_are_right_to_the_last_digits() -> None:
    made, inputs = (
        network(replace(CONFIG, horizon=2, context_length=4)),
        double(window(replace(CONFIG, horizon=2, context_length=4))),
    )
    targets = torch.tensor([[0.3, torch.nan]] * 5).double()
    parameters = {name: p for name, p in made.named_parameters() if name in ("head.weight", "decoder.0.weight")}

    def loss(*values: torch.Tensor) -> torch.Tensor:
        task = Forecasting(made)
        replaced = dict(zip(parameters, values, strict=True))
        outputs = torch.func.functional_call(made, replaced, (inputs,))
        task.network = lambda _: outputs  # type: ignore[assignment]
        task.network.scale, task.network.config = made.scale, made.config
        return task.loss(inputs, targets, None)

    assert torch.autograd.gradcheck(loss, tuple(parameters.values()))


@pytest.mark.parametrize("output", ["normal", "student_t"])
def test_distributions_have_quantiles_at_every_level(output: str) -> None:
    made, inputs = network(replace(CONFIG, output=output)), double(window())
    outputs = made(inputs).detach()
    levels = (0.025, 0.3, 0.5, 0.99)
    found = Forecasting(made).quantiles(outputs, levels).numpy()
    location, width = outputs[..., 0].numpy(), outputs[..., 1].numpy()
    for place, level in enumerate(levels):
        if output == "normal":
            expected = stats.norm.ppf(level, location, width)
        else:
            expected = stats.t.ppf(level, 2 + np.log1p(np.exp(outputs[..., 2].numpy() + 6)), location, width)
        np.testing.assert_allclose(found[..., place], expected, rtol=1e-8)


@pytest.mark.parametrize("cell", CELLS)
def test_parameters_are_counted(cell: str) -> None:
    config = replace(CONFIG, cell=cell)
    assert count_forecaster_parameters(config) == sum(p.numel() for p in ForecastNetwork(config).parameters())
