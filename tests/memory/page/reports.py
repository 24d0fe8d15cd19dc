"""Reports to make pages of: small networks with weights drawn at random, and curves that were made up."""

from typing import Any

import numpy as np
import torch

from longspan import LSTMClassifier, LSTMEncoder, LSTMRegressor
from longspan.memory import (
    ContextCurve,
    Curves,
    Example,
    ForgettingCurve,
    GateSaturation,
    LagCurve,
    MemoryReport,
    OcclusionCurve,
    TimeConstants,
    WindowCurve,
)
from longspan.tasks import NetworkConfig, SequenceNetwork
from tests.estimators.small import TINY, ends, ragged, signs

GATED = ("lstm", "gru")
RECURRENT = (*GATED, "rnn")


def fitted(kind: str = "classify", *, shake: float = 0.4, X: Any = None, y: Any = None, **parameters: Any) -> Any:
    """Fit for one epoch, then move every weight, so that nothing in the network is zero or as it was drawn."""
    X = ragged() if X is None else X
    makers: dict[str, Any] = {"classify": LSTMClassifier, "regress": LSTMRegressor, "encode": LSTMEncoder}
    made = makers[kind](**TINY | {"max_epochs": 1} | parameters)
    if y is None:
        y = {"classify": signs, "regress": ends, "encode": lambda X: None}[kind](X)
        if parameters.get("per_step"):
            y = [np.repeat(label, len(x)) for label, x in zip(y, X, strict=True)]
    made.fit(X, y)
    stir(made.network_, shake)
    return made


def stir(network: torch.nn.Module, shake: float) -> None:
    """Move every weight, and what was measured of the data."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter += shake * torch.randn(parameter.shape, generator=generator)
        for buffer in network.buffers():
            if buffer.is_floating_point():
                buffer += 0.3 * torch.rand(buffer.shape, generator=generator)
    network.eval()


def a_network(**config: Any) -> SequenceNetwork:
    """A network of 2 channels and 2 outputs, in double precision, of which nothing is zero."""
    made = NetworkConfig(**{"input_size": 2, "output_size": 2, "hidden_size": 3, "window": 3} | config)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = SequenceNetwork(made).double()
    stir(network, 0.4)
    return network


def a_lag_curve(decay: float, longest: int = 40) -> LagCurve:
    lags = np.arange(longest)
    median = decay**lags
    return LagCurve(lags, median, median / 2, median * 2, median, np.full(longest, 64), "h and c")


def a_report(model: Any = None, X: Any = None, y: Any = None, **changes: Any) -> MemoryReport:
    """A report on a model, with an example of each of the first sequences."""
    X = ragged() if X is None else X
    model = fitted(X=X, y=y) if model is None else model
    network = getattr(model.network_, "encoder", model.network_)
    config = network.config
    parts = config.num_layers * (2 if config.bidirectional else 1)
    targets = [None] * len(X) if y is None else y
    whole: dict[str, Any] = {
        "gradient_span_at_init": 9.0,
        "gradient_span": 23.0,
        "gate_span": 12.0 if config.cell in GATED else None,
        "used_span": 30.0,
        "needed_span": 25.0,
        "training_window": None,
        "intervals": {"gradient_span": (18.0, 31.0), "used_span": (25.0, np.inf)},
        "at_least": ("needed_span",),
        "curves": some_curves(config, parts),
        "verdict": "latched",
        "advice": "The network remembers: it uses 30 steps, and 25 are needed. Learning more would be slow.",
        "facts": {
            "estimator": type(model).__name__,
            "task": "classify",
            "cell": config.cell,
            "hidden_size": config.hidden_size,
            "num_layers": config.num_layers,
            "bidirectional": config.bidirectional,
            "pooling": config.pooling,
            "stride": 1,
            "n_sequences": len(X),
            "shortest": min(map(len, X)),
            "longest": max(map(len, X)),
            "n_gradient_anchors": 64,
            "unit": "nats",
        },
        "estimator": model,
        "examples": tuple(
            Example(np.asarray(X[number], np.float32), targets[number], number) for number in range(min(3, len(X)))
        ),
    }
    return MemoryReport(**whole | changes)


def some_curves(config: Any, parts: int) -> Curves:
    context = np.arange(0, 41, 5)
    loss = np.maximum(0, 1 - context / 30)
    small = np.full(len(context), 0.05)
    units = parts * config.hidden_size
    layer, backward = np.zeros(units, np.int64), np.arange(units) >= units // 2
    tau = np.geomspace(1, 60, units)
    quantiles = {name: float(np.quantile(tau, level)) for name, level in (("25%", 0.25), ("50%", 0.5), ("75%", 0.75))}
    gated, recurrent = config.cell in GATED, config.cell in RECURRENT
    shares = np.full((3, units), 0.25)
    return Curves(
        gradient=a_lag_curve(0.82) if recurrent else None,
        gradient_at_init=a_lag_curve(0.6) if recurrent else None,
        influence=a_lag_curve(0.9),
        ablation=ContextCurve(context, loss, small, 0.5, 0.01, "replace", "nats"),
        shuffling=ContextCurve(context[::2], loss[::2] / 2, small[::2], 0.5, 0.01, "shuffle", "nats"),
        occlusion=OcclusionCurve(context, 2, loss[::-1] * 0.3, small, (25, 40), "nats"),
        time_constants=TimeConstants(tau, tau / 2, layer, backward, quantiles, "f") if gated else None,
        forgetting=ForgettingCurve(context, 0.9**context, 0.8**context, 0.95**context) if recurrent else None,
        saturation=GateSaturation(("i", "f", "o"), shares, shares, layer, backward) if gated else None,
        window_models=WindowCurve(np.array([1, 5, 25]), loss[:3], small[:3], 1 - loss[:3], 0.7, 0.01, "accuracy"),
    )
