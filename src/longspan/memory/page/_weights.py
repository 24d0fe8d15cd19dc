"""A network as the page computes it: the weights of all its parts, by the names of the ops."""

from typing import Any

import torch
from torch import Tensor, nn

from longspan.memory.page._arrays import pack
from longspan.nn import FeedForward, InputViews, Pooling
from longspan.tasks import Classification, SequenceNetwork, Task

LARGEST = 150_000
"""Weights that the page carries at most, as 0.8 MB of text."""


def count_weights(network: nn.Module) -> int:
    """Return how many numbers the page would have to carry."""
    return sum(parameter.numel() for parameter in network.parameters())


def describe_network(network: SequenceNetwork, reading: dict[str, Any]) -> dict[str, Any]:
    """Return plain values from which the page makes the same network.

    Parameters
    ----------
    network : SequenceNetwork
        In evaluation mode; parametrised weights (`weight_drop`) as they then are.
    reading : dict
        How outputs become predictions, see `describe_reading`.
    """
    config = network.config
    cell: Any = network.cell
    described: dict[str, Any] = {
        "cell": config.cell,
        "bidirectional": bool(getattr(cell, "bidirectional", False)),
        "views": _views(network.views),
        "stem": [] if network.stem is None else _stem(network.stem),
        "options": {},
        "layers": [],
        "pooling": _pooling(network.pooling),
        "stemPooling": _pooling(network.stem_pooling),
        "head": {"weight": _packed(network.head.weight), "bias": _packed(network.head.bias)},
        "reading": reading,
    }
    if isinstance(cell, FeedForward):
        linear = [layer for layer in cell.layers if isinstance(layer, nn.Linear)]
        dense = [{"weight": _packed(layer.weight), "bias": _packed(layer.bias)} for layer in linear]
        return described | {"window": cell.window, "dense": dense}
    described["layers"] = _layers(cell)
    if config.cell == "lstm":
        described["options"] = {"coupled": cell.coupled, "zoneout": list(cell.zoneout)}
    elif config.cell == "rnn":
        described["options"] = {"nonlinearity": cell.nonlinearity}
    return described


def describe_reading(task: Task, output_size: int) -> dict[str, Any]:
    """Return how a task reads what the head gives out: as probabilities, or as numbers with a scale."""
    if isinstance(task, Classification):
        return {"kind": "classes", "temperature": float(task.temperature)}
    zeros, ones = torch.zeros(1, output_size), torch.ones(1, output_size)
    shift = task.read(zeros)[0]
    return {"kind": "numbers", "mean": shift.tolist(), "scale": (task.read(ones)[0] - shift).tolist()}


def _layers(cell: Any) -> list[list[dict[str, Any]]]:
    fields = [{name: _packed(tensor) for name, tensor in cell._fields_of(suffix).items()} for _, suffix in cell._slots]
    both = cell.num_directions
    return [fields[start : start + both] for start in range(0, len(fields), both)]


def _views(views: InputViews) -> dict[str, Any]:
    scales = {name: _packed(getattr(views, name)) for name in ("mean", "scale", "view_mean", "view_scale")}
    return {"names": list(views.views), "gaps": views.gaps} | scales


def _stem(stem: Any) -> list[dict[str, Any]]:
    return [
        {
            "weight": _packed(convolution.weight),
            "stride": stride,
            "gain": _packed(norm.weight),
            "bias": _packed(norm.bias),
            "mean": _packed(norm.running_mean),
            "variance": _packed(norm.running_var),
            "epsilon": norm.eps,
        }
        for convolution, norm, stride in zip(stem.convolutions, stem.norms, stem.strides, strict=True)
    ]


def _pooling(pooling: Pooling | None) -> dict[str, Any] | None:
    if pooling is None:
        return None
    described: dict[str, Any] = {"kind": pooling.kind}
    if hasattr(pooling, "attention"):
        attention: Any = pooling.attention
        described["attention"] = {
            "hidden": _packed(attention.hidden.weight),
            "bias": _packed(attention.hidden.bias),
            "score": _packed(attention.score.weight),
        }
    return described


def _packed(tensor: Tensor) -> dict[str, Any]:
    return pack(tensor.detach().cpu().numpy())
