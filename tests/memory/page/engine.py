"""The page's own program in a JavaScript engine, without a page: what a browser would compute."""

import json
from importlib.resources import files
from typing import Any

import numpy as np
import quickjs
from numpy.typing import NDArray

_ENTRY = """
const plain = (trace) => Object.fromEntries(Object.entries(trace).map(([name, rows]) => [name, Array.from(rows)]));
function probe(network, inputs, steps, clamps) {
  const net = loadNetwork(JSON.parse(network), unpack);
  const x = Float64Array.from(JSON.parse(inputs), (value) => (value === null ? NaN : value));
  const result = forward(net, x, steps, JSON.parse(clamps));
  const size = net.head.weight.shape[0];
  const along = [...outputsAt(net, x, steps, Array.from({ length: steps }, (_, step) => step), JSON.parse(clamps))];
  return JSON.stringify({
    outputs: Array.from(result.outputs),
    predictions: Array.from(readPrediction(net, result.outputs.subarray(0, size))),
    along: along.map(([, outputs]) => Array.from(outputs)),
    traces: result.traces.map(plain),
  });
}
"""


def program(*parts: str) -> str:
    """Parts of the page's script, joined."""
    folder = files("longspan.memory.page") / "assets" / "app"
    return "\n".join((folder / f"{part}.js").read_text(encoding="utf-8") for part in parts)


def engine(*parts: str, entry: str = "") -> Any:
    context = quickjs.Context()
    context.eval(program(*parts) + entry)
    return context


class Page:
    """Runs networks as the page does."""

    def __init__(self) -> None:
        self._probe = engine("arrays", "network", entry=_ENTRY).get("probe")

    def run(self, described: Any, values: NDArray[Any], clamps: list[dict[str, Any]] | None = None) -> dict[str, Any]:
        numbers = [None if np.isnan(value) else float(value) for value in np.ravel(values)]
        found = json.loads(
            self._probe(json.dumps(described), json.dumps(numbers), len(values), json.dumps(clamps or []))
        )
        found["outputs"], found["along"] = np.array(found["outputs"]), np.array(found["along"])
        found["predictions"] = np.array(found["predictions"])
        found["traces"] = [{name: np.array(rows) for name, rows in trace.items()} for trace in found["traces"]]
        return found
