"""Those who compute the same: torch on its two paths, ONNX Runtime, JAX. The last two are used where installed."""

import os
from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

import longspan.nn
from benchmarks.kernels.problems import Data

LONGSPAN, TORCH, PACKED, ONNX, JAX = "longspan", "torch", "torch packed", "onnxruntime", "jax"
_TOO_MUCH = 3e9
"""Bytes from which on the packed path is no contestant on a dense batch: it would take seconds to minutes a call."""

Call = Callable[[], Any]
"""Computes once, and returns the output, or the output and the gradients by name."""


def missing() -> list[str]:
    """Return the peers that are not installed."""
    needed = {ONNX: ("onnxruntime", "onnx"), JAX: ("jax",)}
    return [peer for peer, modules in needed.items() if any(find_spec(module) is None for module in modules)]


def loaded(kind: type[Any], data: Data, **options: Any) -> Any:
    """Return a module of a kind, `torch.nn.LSTM` or longspan's, with the weights of the data."""
    module = kind(data.problem.inputs, data.problem.hidden, dtype=data.x.dtype, **options)
    module.load_state_dict(data.weights)
    return module


def gradients(module: Any, input: Tensor | PackedSequence, grad: Tensor) -> dict[str, Tensor]:
    """Run forward and backward; return the output and the gradients of the input and of all weights."""
    output = module(input)[0]
    leaf, output = (input.data, output.data) if isinstance(input, PackedSequence) else (input, output)
    names, weights = zip(*module.named_parameters(), strict=True)
    found = torch.autograd.grad(output, (leaf, *weights), grad)
    return dict(zip(("output", "x", *names), (output.detach(), *found), strict=True))


def trainer(module: Any, data: Data, *, packed: bool = False) -> Call:
    """Return a call that runs forward and backward."""
    input = data.packed() if packed else data.input
    leaf = (input.data if isinstance(input, PackedSequence) else input).clone().requires_grad_()
    input = input._replace(data=leaf) if isinstance(input, PackedSequence) else leaf
    return partial(gradients, module, input, data.grad.flatten(0, -2) if packed else data.grad)


def runner(module: Any, data: Data, *, packed: bool = False) -> Call:
    """Return a call that runs forward, keeping nothing."""
    module.eval()
    input = data.packed() if packed else data.input

    def run() -> dict[str, Tensor]:
        with torch.no_grad():
            output = module(input)[0]
        return {"output": output.data if isinstance(output, PackedSequence) else output}

    return run


def trainers(data: Data) -> dict[str, Call]:
    """Return every contestant that trains on a batch, dense or ragged."""
    calls = {LONGSPAN: trainer(loaded(longspan.nn.LSTM, data), data)}
    if data.problem.lengths is None:
        calls[TORCH] = trainer(loaded(nn.LSTM, data), data)
        if JAX not in missing() and data.x.dtype == torch.float32:
            calls[JAX] = jax_call(data, training=True)
    if data.problem.lengths is None and _written_by_packed(data) > _TOO_MUCH:
        return calls
    return calls | {PACKED: trainer(loaded(nn.LSTM, data), data, packed=True)}


def _written_by_packed(data: Data) -> int:
    """Return the bytes of zeros that torch's packed path writes on the way back: at each step as much as all gates."""
    rows = data.problem.batch * data.problem.steps
    return data.problem.steps * rows * 4 * data.problem.hidden * data.x.element_size()


def runners(data: Data) -> dict[str, Call]:
    """Return every contestant that predicts on a dense batch."""
    calls = {
        LONGSPAN: runner(loaded(longspan.nn.LSTM, data), data),
        TORCH: runner(loaded(nn.LSTM, data), data),
        PACKED: runner(loaded(nn.LSTM, data), data, packed=True),
    }
    if ONNX not in missing():
        calls[ONNX] = onnx_call(data)
    if JAX not in missing():
        calls[JAX] = jax_call(data, training=False)
    return calls


def onnx_session(data: Data) -> Any:
    """Return a session with one LSTM node; its inputs are X (T, B, I), h and c (1, B, H), its outputs Y, h and c."""
    import onnxruntime
    from onnx import TensorProto, helper, numpy_helper

    def reordered(name: str) -> np.ndarray:
        i, f, g, o = np.split(data.weights[f"{name}_l0"].numpy(), 4)
        return np.concatenate([i, o, f, g])  # ONNX has them in another order

    bias = np.concatenate([reordered("bias_ih"), reordered("bias_hh")])
    arrays = {"W": reordered("weight_ih")[None], "R": reordered("weight_hh")[None], "bias": bias[None]}
    inputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [None] * 3) for name in ("X", "h0", "c0")]
    outputs = [helper.make_tensor_value_info("Y", TensorProto.FLOAT, [None] * 4)]
    outputs += [helper.make_tensor_value_info(name, TensorProto.FLOAT, [None] * 3) for name in ("h", "c")]
    node = helper.make_node(
        "LSTM", ["X", "W", "R", "bias", "", "h0", "c0"], ["Y", "h", "c"], hidden_size=data.problem.hidden
    )
    weights = [numpy_helper.from_array(array, name) for name, array in arrays.items()]
    graph = helper.make_graph([node], "lstm", inputs, outputs, weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def onnx_call(data: Data) -> Call:
    """Return a call that predicts with ONNX Runtime."""
    session = onnx_session(data)
    state = np.zeros((1, data.problem.batch, data.problem.hidden), np.float32)
    feed = {"X": data.x.numpy(), "h0": state, "c0": state}
    return lambda: {"output": session.run(["Y"], feed)[0][:, 0]}


def jax_call(data: Data, *, training: bool) -> Call:
    """Return a compiled call of JAX: `lax.scan` over the steps. JAX takes as many threads as it likes."""
    os.environ.setdefault("JAX_PLATFORMS", "cpu")
    import jax
    from jax import numpy as jnp

    def layer(arguments: dict[str, Any]) -> Any:
        bias = arguments["bias_ih_l0"] + arguments["bias_hh_l0"]
        projected = arguments["x"] @ arguments["weight_ih_l0"].T + bias

        def step(state: Any, a: Any) -> Any:
            h, c = state
            i, f, g, o = jnp.split(a + h @ arguments["weight_hh_l0"].T, 4, axis=-1)
            c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
            h = jax.nn.sigmoid(o) * jnp.tanh(c)
            return (h, c), h

        zeros = jnp.zeros((data.problem.batch, data.problem.hidden))
        return jax.lax.scan(step, (zeros, zeros), projected)[1]

    def learn(arguments: dict[str, Any], grad: Any) -> Any:
        output, pull = jax.vjp(layer, arguments)
        return {"output": output, **pull(grad)[0]}

    arguments = {name: jnp.asarray(value.numpy()) for name, value in {"x": data.x, **data.weights}.items()}
    if training:
        compiled, grad = jax.jit(learn), jnp.asarray(data.grad.numpy())
        return lambda: jax.block_until_ready(compiled(arguments, grad))
    compiled = jax.jit(lambda arguments: {"output": layer(arguments)})
    return lambda: jax.block_until_ready(compiled(arguments))
