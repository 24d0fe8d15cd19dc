"""The autoencoder and its losses against loops over single sequences, in float64."""

from typing import Any

import numpy as np
import pytest
import torch
from torch.nn.utils.rnn import PackedSequence, pack_sequence

from longspan.errors import ParameterError
from longspan.tasks import Autoencoder, AutoencoderConfig, Reconstruction, Residuals, count_autoencoder_parameters
from tests.oracles import gru_sequence, lstm_sequence, rnn_sequence

LENGTHS = (7, 4, 4, 1)
SIZE, LATENT, HIDDEN = 3, 2, 5


def network(**changes: Any) -> Autoencoder:
    torch.manual_seed(0)
    config = AutoencoderConfig(
        **{"input_size": SIZE, "output_size": LATENT, "hidden_size": HIDDEN, "target_size": SIZE} | changes
    )
    made = Autoencoder(config).double().eval()
    torch.nn.init.normal_(made.series.weight)
    made.encoder.views.scale_channels(np.arange(config.input_size) * 0.5, np.arange(config.input_size) + 1.0)
    return made


def sequences(features: int = SIZE) -> list[torch.Tensor]:
    rng = np.random.default_rng(0)
    return [torch.from_numpy(rng.normal(size=(length, features))) for length in LENGTHS]


def packed(parts: list[torch.Tensor]) -> PackedSequence:
    return pack_sequence(parts, enforce_sorted=True)


def unpacked(rows: torch.Tensor, batch_sizes: torch.Tensor) -> list[np.ndarray]:
    return [
        np.stack([step[b].detach().numpy() for step in rows.split(batch_sizes.tolist()) if len(step) > b])
        for b in range(int(batch_sizes[0]))
    ]


def decoded_by_hand(made: Autoencoder, latents: np.ndarray, length: int) -> np.ndarray:
    """One sequence, from the equations."""
    config, weights = made.config, {name: w.detach().numpy() for name, w in made.state_dict().items()}
    fraction = (np.arange(length) + 0.5) / length
    places = [np.sqrt(2) * np.cos(np.pi * k * fraction) for k in range(1, config.harmonics + 1)]
    places.append(np.full(length, np.log(length)))
    rows = np.concatenate([np.tile(latents, (length, 1)), np.stack(places, axis=1)], axis=1)
    waves = np.stack([np.ones(length), *places[:-1]], axis=1)
    products = np.einsum("z,tk->tzk", latents, waves).reshape(length, -1)
    series = products @ weights["series.weight"].T
    state = {"lstm": 2, "gru": 1, "rnn": 1, "feedforward": 0}[config.cell]
    if state:
        start = np.tanh(weights["start.weight"] @ latents + weights["start.bias"])
        starts = start.reshape(state, config.num_layers, config.hidden_size)
    for layer in range(config.num_layers):
        if config.cell == "feedforward":
            name = f"decoder.layers.{2 * layer}"
            rows = np.maximum(rows @ weights[f"{name}.weight"].T + weights[f"{name}.bias"], 0)
            continue
        own = {
            f"{short}_{part}": weights[f"decoder.{long}_{part}_l{layer}"]
            for short, long in (("w", "weight"), ("b", "bias"))
            for part in ("ih", "hh")
        }
        run = {"lstm": lstm_sequence, "gru": gru_sequence, "rnn": rnn_sequence}[config.cell]
        rows = run(rows, *starts[:, layer], own)["h"]
    return rows @ weights["read_out.weight"].T + weights["read_out.bias"] + series


@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn", "feedforward"])
def test_the_decoder_is_its_equations(cell: str, layers: int) -> None:
    made = network(cell=cell, num_layers=layers)
    latents = torch.randn(len(LENGTHS), LATENT, dtype=torch.float64)
    sizes = packed(sequences()).batch_sizes
    found = unpacked(made.decode(latents, sizes), sizes)
    for latent, length, ours in zip(latents.numpy(), LENGTHS, found, strict=True):
        np.testing.assert_allclose(ours, decoded_by_hand(made, latent, length), rtol=1e-9, atol=1e-11)


def standardised(x: torch.Tensor) -> np.ndarray:
    return (x.numpy() - np.arange(SIZE) * 0.5) / (np.arange(SIZE) + 1.0)


def residuals_by_hand(made: Autoencoder, parts: list[torch.Tensor]) -> list[np.ndarray]:
    latents = made(packed(parts)).detach().numpy()
    return [standardised(x) - decoded_by_hand(made, latent, len(x)) for x, latent in zip(parts, latents, strict=True)]


@pytest.mark.parametrize("weighted", [False, True])
def test_the_loss_is_the_mean_square_of_all_values(weighted: bool) -> None:
    made, parts = network(), sequences()
    weights = np.array([0.5, 2.0, 0.0, 1.5]) if weighted else np.ones(4)
    squares = [w * r**2 for w, r in zip(weights, residuals_by_hand(made, parts), strict=True)]
    expected = np.concatenate(squares).mean()
    given = torch.from_numpy(weights) if weighted else None
    task = Reconstruction(made)
    np.testing.assert_allclose(task.loss(packed(parts), None, given).item(), expected, rtol=1e-9)
    sums = {name: value.item() for name, value in task.metrics(packed(parts), None, given).items()}
    np.testing.assert_allclose(sums["weight"], SIZE * (weights * LENGTHS).sum())
    np.testing.assert_allclose(sums["loss"], np.concatenate(squares).sum(), rtol=1e-9)
    np.testing.assert_allclose(sums["error"], sums["loss"])


def test_what_was_not_seen_has_no_loss() -> None:
    made, parts = network(input_size=3 * SIZE, gaps=True), sequences(3 * SIZE)
    for part in parts:
        part[:, SIZE : 2 * SIZE] = (part[:, SIZE : 2 * SIZE] > 0).double()
    parts[0][0, 0] = torch.nan
    parts[0][0, SIZE] = 0.0
    latents = made(packed(parts)).detach().numpy()
    squares, count = 0.0, 0.0
    for x, latent in zip(parts, latents, strict=True):
        seen = x[:, SIZE : 2 * SIZE].numpy() > 0
        left = standardised(x[:, :SIZE]) - decoded_by_hand(made, latent, len(x))
        squares, count = squares + (left[seen] ** 2).sum(), count + seen.sum()
    np.testing.assert_allclose(Reconstruction(made).loss(packed(parts), None, None).item(), squares / count, rtol=1e-9)


@pytest.mark.parametrize("beta", [0.0, 1.0, 3.0])
def test_the_variational_loss_is_the_evidence_lower_bound(beta: float) -> None:
    made, parts = network(variational=True), sequences()
    torch.nn.init.uniform_(made.log_noise, -2, 1)
    noise, task = made.log_noise.detach().numpy(), Reconstruction(made, beta=beta)
    latents = made.encode(packed(parts))
    assert latents.log_variance is not None
    mean, log_variance = latents.mean.detach().numpy(), latents.log_variance.detach().numpy()
    torch.manual_seed(3)
    drawn = mean + np.exp(log_variance / 2) * torch.randn(mean.shape, dtype=torch.float64).numpy()
    divergence = 0.5 * (np.exp(log_variance) + mean**2 - 1 - log_variance).sum()
    for z, found in ((drawn, "loss"), (mean, "metrics")):
        likelihood = 0.0
        for x, latent in zip(parts, z, strict=True):
            left = standardised(x) - decoded_by_hand(made, latent, len(x))
            likelihood += -0.5 * (left**2 / np.exp(noise) + noise).sum()
        expected = -likelihood + beta * divergence
        torch.manual_seed(3)
        total = (
            task.loss(packed(parts), None, None) * SIZE * sum(LENGTHS)
            if found == "loss"
            else task.metrics(packed(parts), None, None)["loss"]
        )
        np.testing.assert_allclose(total.item(), expected, rtol=1e-9)


def test_gradients_are_those_of_differences() -> None:
    made, parts = network(), sequences()
    task = Reconstruction(made)
    task.loss(packed(parts), None, None).backward()
    for name in ("encoder.head.weight", "start.weight", "decoder.weight_ih_l0", "read_out.bias"):
        parameter = dict(made.named_parameters())[name]
        place = (0,) * parameter.dim()
        slopes = []
        with torch.no_grad():
            for step in (1e-5, -1e-5):
                parameter[place] += step
                slopes.append(float(task.loss(packed(parts), None, None)) / 2e-5)
                parameter[place] -= step
        np.testing.assert_allclose(float(parameter.grad[place]), slopes[0] - slopes[1], rtol=1e-5, atol=1e-9)


def test_strangeness_is_that_of_a_loop() -> None:
    rng, parts = np.random.default_rng(1), [part.numpy() for part in sequences()]
    known = Residuals(SIZE).double()
    for name, shape in (("persistence", SIZE), ("level", SIZE), ("innovation", (SIZE, SIZE)), ("first", (SIZE, SIZE))):
        getattr(known, name).copy_(torch.from_numpy(rng.normal(size=shape)))
    known.spread.copy_(torch.tensor([0.5, 1.0, 2.0]))
    inputs = packed(sequences())
    expected = []
    for r in parts:
        rows = [r[0] @ known.first.numpy()]
        rows += [(r[t] - known.persistence.numpy() * r[t - 1]) @ known.innovation.numpy() for t in range(1, len(r))]
        logarithm = np.log((np.array(rows) ** 2).mean(axis=0) + 1e-6)
        expected.append(((logarithm - known.level.numpy()) / known.spread.numpy()).max())
    found = known.strangeness(inputs.data, inputs.batch_sizes, None)
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-9)


def test_parameters_are_counted_without_making_them() -> None:
    made = network(variational=True, bidirectional=True)
    assert count_autoencoder_parameters(made.config) == sum(p.numel() for p in made.parameters())


def test_there_has_to_be_a_pooling() -> None:
    with pytest.raises(ParameterError, match="pooling"):
        network(pooling=None)
