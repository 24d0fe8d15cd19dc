// What the explorer shows: one sequence, what the network did with it, and what it does once something is changed.

const GATE_NAMES = {
  f: "forget gate", i: "input gate", g: "cell input", o: "output gate", c: "cell state", h: "hidden state",
  r: "reset gate", z: "update gate", n: "new state",
};
const FIELDS = { lstm: ["f", "i", "g", "o", "c", "h"], gru: ["z", "r", "n", "h"], rnn: ["h"], feedforward: [] };
const HOLDABLE = { lstm: ["f", "i", "g", "o"], gru: ["z", "r", "n"], rnn: [], feedforward: [] };
const SIGNED = new Set(["g", "c", "h", "n"]);

/** Open a sequence; with `net` everything is computed here, without it unpacked. */
function openExample(explorer, net, place) {
  const stored = explorer.examples[place];
  const example = {
    stored,
    length: stored.length,
    steps: stored.steps,
    inputs: unpack(stored.inputs),
    width: stored.inputs.shape[1],
    asked: stored.asked,
    predictions: unpack(stored.predictions),
    influence: unpack(stored.influence),
    answers: explorer.answers.length,
  };
  example.parts = net ? liveParts(explorer, net, forward(net, example.inputs, example.length)) : storedParts(explorer, stored);
  return example;
}

function liveParts(explorer, net, result) {
  const columns = Array.from({ length: result.cellSteps }, (_, k) => k);
  const both = net.bidirectional ? 2 : 1;
  return result.traces.map((fields, p) => {
    const units = explorer.units[p];
    const at = (field, column, row) => fields[field][column * (fields[field].length / columns.length) + units[row]];
    return { layer: Math.floor(p / both), direction: p % both, columns, units, at, fields: Object.keys(fields) };
  });
}

function storedParts(explorer, stored) {
  return stored.cells.map((cell, p) => {
    const units = explorer.units[p];
    const fields = Object.fromEntries(Object.entries(cell.fields).map(([name, packed]) => [name, unpack(packed)]));
    const at = (field, column, row) => fields[field][column * units.length + row];
    return { layer: cell.layer, direction: cell.backward ? 1 : 0, columns: cell.columns, units, at, fields: Object.keys(fields) };
  });
}

/** Middle of a column of the cell, in steps of the data. */
function centre(explorer, example, column) {
  const from = column * explorer.stride;
  return (from + Math.min(from + explorer.stride, example.length) - 1) / 2;
}

function nearest(values, wanted) {
  let best = 0;
  for (let k = 1; k < values.length; k++) if (Math.abs(values[k] - wanted) < Math.abs(values[best] - wanted)) best = k;
  return best;
}

/** The column of a part in which a step of the data falls. */
const columnOf = (explorer, part, step) => nearest(part.columns, Math.floor(step / explorer.stride));

const isEdited = (edits) => edits.inputs !== null || edits.clamps.length > 0;

/** Everything anew with the changes made: traces, the answer at the end, and the answers along the way as they come. */
function recompute(explorer, net, example, edits) {
  const inputs = edits.inputs ?? example.inputs;
  const result = forward(net, inputs, example.length, edits.clamps);
  const size = net.head.weight.shape[0];
  const last = net.pooling ? result.outputs : result.outputs.subarray((example.length - 1) * size);
  return {
    inputs,
    parts: liveParts(explorer, net, result),
    final: readPrediction(net, last),
    along: example.asked.map(() => null),
    rest: outputsAt(net, inputs, example.length, ordered(example.asked), edits.clamps),
  };
}

/** The steps in an order in which a picture of the whole appears early: every sixteenth, then what lies between. */
function ordered(steps) {
  const places = steps.map((_, k) => k);
  const coarse = (k) => (k % 16 === 0 ? 0 : k % 4 === 0 ? 1 : 2);
  return places.sort((a, b) => coarse(a) - coarse(b) || a - b).map((k) => steps[k]);
}
