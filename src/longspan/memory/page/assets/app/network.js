// The network in the page: the equations of longspan.ops.reference for one sequence, in double precision.
// Matrices are Float64Arrays, row after row. Nothing in this file touches the document.

const GATES = { LSTM: ["i", "f", "g", "o"], COUPLED: ["f", "g", "o"], GRU: ["r", "z", "n"], RNN: [] };
const EPSILON = 1e-5;

const sigmoid = (a) => 1 / (1 + Math.exp(-a));

/** W x (+ b) for each row; `weight` is {shape: [out, in], data}. */
function affine(rows, count, weight, bias) {
  const [wide, deep] = weight.shape;
  const w = weight.data;
  const out = new Float64Array(count * wide);
  for (let r = 0; r < count; r++) {
    const from = r * deep;
    for (let j = 0; j < wide; j++) {
      let sum = bias ? bias.data[j] : 0;
      for (let k = 0, at = j * deep; k < deep; k++, at++) sum += w[at] * rows[from + k];
      out[r * wide + j] = sum;
    }
  }
  return out;
}

/** Layer normalisation of each row, in place. */
function normalise(rows, count, gain, bias) {
  const wide = gain.data.length;
  for (let r = 0; r < count; r++) {
    const row = rows.subarray(r * wide, (r + 1) * wide);
    let mean = 0;
    for (const value of row) mean += value / wide;
    let variance = 0;
    for (const value of row) variance += (value - mean) ** 2 / wide;
    const scale = 1 / Math.sqrt(variance + EPSILON);
    for (let j = 0; j < wide; j++) row[j] = (row[j] - mean) * scale * gain.data[j] + (bias ? bias.data[j] : 0);
  }
  return rows;
}

function addRow(rows, count, bias) {
  const wide = bias.data.length;
  for (let r = 0; r < count; r++) for (let j = 0; j < wide; j++) rows[r * wide + j] += bias.data[j];
}

// What the cell sees: views of the input, and the stem ---------------------------------------------------------------

const VIEW = {
  level: (rows) => rows,
  change(rows, count, wide) {
    const out = new Float64Array(rows.length);
    for (let at = wide; at < count * wide; at++) out[at] = rows[at] - rows[at - wide];
    return out;
  },
  shape(rows, count, wide) {
    const out = new Float64Array(rows.length);
    for (let j = 0; j < wide; j++) {
      let mean = 0;
      let square = 0;
      for (let r = 0; r < count; r++) mean += rows[r * wide + j] / count;
      for (let r = 0; r < count; r++) square += (rows[r * wide + j] - mean) ** 2 / count;
      const deviation = Math.sqrt(square + 1e-4);
      for (let r = 0; r < count; r++) out[r * wide + j] = (rows[r * wide + j] - mean) / deviation;
    }
    return out;
  },
};

function look(views, x, count) {
  const wide = views.mean.data.length;
  const level = new Float64Array(count * wide);
  for (let at = 0; at < level.length; at++) {
    const j = at % wide;
    const value = (x[at] - views.mean.data[j]) / views.scale.data[j];
    level[at] = views.gaps && Number.isNaN(value) ? 0 : value;
  }
  if (views.names.length === 1 && views.names[0] === "level") return level;
  const seen = views.names.map((name) => VIEW[name](level, count, wide));
  const all = wide * seen.length;
  const out = new Float64Array(count * all);
  for (let r = 0; r < count; r++) {
    for (let j = 0; j < all; j++) {
      const value = seen[Math.floor(j / wide)][r * wide + (j % wide)];
      out[r * all + j] = (value - views.view_mean.data[j]) / views.view_scale.data[j];
    }
  }
  return out;
}

/** One block of the stem: convolution, normalisation by what training saw, relu, max pooling. */
function runBlock(block, rows, count) {
  const [wide, deep, width] = block.weight.shape;
  const half = Math.floor(width / 2);
  const kept = Math.ceil(count / block.stride);
  const out = new Float64Array(kept * wide).fill(-Infinity);
  for (let j = 0; j < wide; j++) {
    const scale = block.gain.data[j] / Math.sqrt(block.variance.data[j] + block.epsilon);
    const shift = block.bias.data[j] - block.mean.data[j] * scale;
    for (let t = 0; t < count; t++) {
      let sum = 0;
      for (let m = Math.max(0, half - t); m < width && t + m - half < count; m++) {
        const from = (t + m - half) * deep;
        for (let k = 0, at = j * deep * width + m; k < deep; k++, at += width) sum += block.weight.data[at] * rows[from + k];
      }
      const place = Math.floor(t / block.stride) * wide + j;
      out[place] = Math.max(out[place], 0, sum * scale + shift);
    }
  }
  return { rows: out, count: kept };
}

// The cells ----------------------------------------------------------------------------------------------------------

/** Return (gate, step, unit, value) => value, or the value at which a clamp holds it. */
function holder(clamps) {
  if (!clamps.length) return null;
  return (gate, step, unit, value) => {
    for (const clamp of clamps) {
      const here = clamp.gate === gate && (clamp.unit === null || clamp.unit === unit);
      if (here && step >= clamp.from && step <= clamp.to) return clamp.value;
    }
    return value;
  };
}

/** U h', normalised if the cell is; `out` is reused from step to step. */
function recall(out, h, offset, w) {
  const [wide, deep] = w.w_hh.shape;
  const u = w.w_hh.data;
  for (let j = 0; j < wide; j++) {
    let sum = 0;
    if (h) for (let k = 0, at = j * deep; k < deep; k++, at++) sum += u[at] * h[offset + k];
    out[j] = sum;
  }
  if (w.w_ln_hh) normalise(out, 1, w.w_ln_hh);
}

function projectInput(rows, count, w) {
  const x = affine(rows, count, w.w_ih);
  if (w.w_ln_ih) normalise(x, count, w.w_ln_ih);
  if (w.b_ih) addRow(x, count, w.b_ih);
  return x;
}

function runLSTM(rows, count, w, options, reverse, hold) {
  const blocks = options.coupled ? GATES.COUPLED : GATES.LSTM;
  const size = w.w_hh.shape[0] / blocks.length;
  const out = w.w_hr ? w.w_hr.shape[0] : size;
  const x = projectInput(rows, count, w);
  if (w.b_hh) addRow(x, count, w.b_hh);
  const [keepH, keepC] = options.zoneout || [0, 0];
  const trace = { h: new Float64Array(count * out) };
  for (const name of ["i", "f", "g", "o", "c"]) trace[name] = new Float64Array(count * size);
  const a = new Float64Array(blocks.length * size);
  const fresh = new Float64Array(size);
  const squashed = new Float64Array(size);
  const peep = w.w_ch ? w.w_ch.data : null;
  const base = options.coupled ? { f: 0, g: size, o: 2 * size } : { i: 0, f: size, g: 2 * size, o: 3 * size };
  const peepAt = options.coupled ? { f: 0, o: size } : { i: 0, f: size, o: 2 * size };
  const seen = (name, j, c) => (peep ? peep[peepAt[name] + j] * c : 0);
  for (let n = 0; n < count; n++) {
    const t = reverse ? count - 1 - n : n;
    const before = n === 0 ? -1 : reverse ? t + 1 : t - 1;
    recall(a, before < 0 ? null : trace.h, before * out, w);
    for (let j = 0; j < a.length; j++) a[j] += x[t * a.length + j];
    for (let j = 0; j < size; j++) {
      const old = before < 0 ? 0 : trace.c[before * size + j];
      const at = t * size + j;
      let f = sigmoid(a[base.f + j] + seen("f", j, old));
      if (hold) f = hold("f", t, j, f);
      let i = options.coupled ? 1 - f : sigmoid(a[base.i + j] + seen("i", j, old));
      let g = Math.tanh(a[base.g + j]);
      if (hold) {
        i = hold("i", t, j, i);
        g = hold("g", t, j, g);
      }
      fresh[j] = squashed[j] = f * old + i * g;
      trace.f[at] = f;
      trace.i[at] = i;
      trace.g[at] = g;
    }
    if (w.w_ln_c) normalise(squashed, 1, w.w_ln_c, w.b_ln_c);
    for (let j = 0; j < size; j++) {
      const at = t * size + j;
      let o = sigmoid(a[base.o + j] + seen("o", j, fresh[j]));
      if (hold) o = hold("o", t, j, o);
      trace.o[at] = o;
      squashed[j] = o * Math.tanh(squashed[j]);
      trace.c[at] = (before < 0 ? 0 : keepC * trace.c[before * size + j]) + (1 - keepC) * fresh[j];
    }
    const h = w.w_hr ? affine(squashed, 1, w.w_hr) : squashed;
    for (let j = 0; j < out; j++) {
      trace.h[t * out + j] = (before < 0 ? 0 : keepH * trace.h[before * out + j]) + (1 - keepH) * h[j];
    }
  }
  return trace;
}

function runGRU(rows, count, w, options, reverse, hold) {
  const size = w.w_hh.shape[0] / 3;
  const x = projectInput(rows, count, w);
  const trace = {};
  for (const name of ["r", "z", "n", "h"]) trace[name] = new Float64Array(count * size);
  const a = new Float64Array(3 * size);
  for (let step = 0; step < count; step++) {
    const t = reverse ? count - 1 - step : step;
    const before = step === 0 ? -1 : reverse ? t + 1 : t - 1;
    recall(a, before < 0 ? null : trace.h, before * size, w);
    if (w.b_hh) addRow(a, 1, w.b_hh);
    for (let j = 0; j < size; j++) {
      const at = t * size + j;
      const from = t * 3 * size + j;
      let r = sigmoid(x[from] + a[j]);
      let z = sigmoid(x[from + size] + a[size + j]);
      if (hold) {
        r = hold("r", t, j, r);
        z = hold("z", t, j, z);
      }
      let n = Math.tanh(x[from + 2 * size] + r * a[2 * size + j]);
      if (hold) n = hold("n", t, j, n);
      trace.r[at] = r;
      trace.z[at] = z;
      trace.n[at] = n;
      trace.h[at] = (1 - z) * n + z * (before < 0 ? 0 : trace.h[before * size + j]);
    }
  }
  return trace;
}

function runRNN(rows, count, w, options, reverse) {
  const size = w.w_hh.shape[0];
  const x = projectInput(rows, count, w);
  if (w.b_hh) addRow(x, count, w.b_hh);
  const trace = { h: new Float64Array(count * size) };
  const a = new Float64Array(size);
  for (let n = 0; n < count; n++) {
    const t = reverse ? count - 1 - n : n;
    recall(a, n === 0 ? null : trace.h, (reverse ? t + 1 : t - 1) * size, w);
    for (let j = 0; j < size; j++) {
      const sum = a[j] + x[t * size + j];
      trace.h[t * size + j] = options.nonlinearity === "relu" ? Math.max(0, sum) : Math.tanh(sum);
    }
  }
  return trace;
}

const CELLS = { lstm: runLSTM, gru: runGRU, rnn: runRNN };

function runFeedForward(net, rows, count) {
  const wide = rows.length / count;
  let seen = new Float64Array(count * wide * net.window);
  for (let t = 0; t < count; t++) {
    for (let back = 0; back < net.window && back <= t; back++) {
      seen.set(rows.subarray((t - back) * wide, (t - back + 1) * wide), (t * net.window + back) * wide);
    }
  }
  for (const layer of net.dense) seen = affine(seen, count, layer.weight, layer.bias).map((a) => Math.max(0, a));
  return seen;
}

/** Run the stack of layers: the output of the last one, and the trace of each layer and direction. */
function runStack(net, rows, count, clamps) {
  if (net.cell === "feedforward") return { rows: runFeedForward(net, rows, count), traces: [] };
  const traces = [];
  net.layers.forEach((directions, layer) => {
    const found = directions.map((w, direction) => {
      const hold = holder(clamps.filter((clamp) => clamp.layer === layer && clamp.direction === direction));
      return CELLS[net.cell](rows, count, w, net.options, direction === 1, hold);
    });
    traces.push(...found);
    rows = found.length === 1 ? found[0].h : beside(found[0].h, found[1].h, count);
  });
  return { rows, traces };
}

function beside(left, right, count) {
  const wide = left.length / count;
  const out = new Float64Array(2 * left.length);
  for (let t = 0; t < count; t++) {
    out.set(left.subarray(t * wide, (t + 1) * wide), 2 * t * wide);
    out.set(right.subarray(t * wide, (t + 1) * wide), (2 * t + 1) * wide);
  }
  return out;
}

// From steps to outputs ----------------------------------------------------------------------------------------------

function attend(rows, count, attention) {
  const hidden = affine(rows, count, attention.hidden, attention.bias).map(Math.tanh);
  const score = affine(hidden, count, attention.score);
  const highest = score.reduce((a, b) => Math.max(a, b), -Infinity);
  return score.map((s) => Math.exp(s - highest));
}

/** Pool steps 0 to `end` as a sequence that ends there. */
function pool(pooling, rows, end, wide, bidirectional) {
  const kinds = pooling.kind.split("+");
  const out = new Float64Array(kinds.length * wide);
  kinds.forEach((kind, part) => {
    const place = out.subarray(part * wide, (part + 1) * wide);
    if (kind === "last") {
      for (let j = 0; j < wide; j++) {
        const backward = bidirectional && j >= wide / 2;
        place[j] = rows[(backward ? 0 : end) * wide + j];
      }
      return;
    }
    if (kind === "max") place.fill(-Infinity);
    const weight = kind === "attention" ? attend(rows.subarray(0, (end + 1) * wide), end + 1, pooling.attention) : null;
    const total = weight ? weight.reduce((a, b) => a + b, 0) : end + 1;
    for (let t = 0; t <= end; t++) {
      for (let j = 0; j < wide; j++) {
        const value = rows[t * wide + j];
        if (kind === "max") place[j] = Math.max(place[j], value);
        else place[j] += ((weight ? weight[t] : 1) * value) / total;
      }
    }
  });
  return out;
}

/** Run a network over a sequence of `count` steps: outputs (one row, or one a step), and the traces of its cells. */
function forward(net, x, count, clamps = []) {
  let found = { rows: look(net.views, x, count), count };
  for (const block of net.stem) found = runBlock(block, found.rows, found.count);
  const { rows, traces } = runStack(net, found.rows, found.count, clamps);
  const result = { traces, cellSteps: found.count, carried: rows };
  if (!net.pooling) {
    result.outputs = affine(rows, count, net.head.weight, net.head.bias);
    return result;
  }
  result.outputs = readOut(net, rows, found.count - 1, found);
  return result;
}

function readOut(net, rows, end, stem) {
  const wide = rows.length / stem.count;
  let pooled = pool(net.pooling, rows, end, wide, net.bidirectional);
  if (net.stemPooling) {
    const beneath = pool(net.stemPooling, stem.rows, stem.count - 1, stem.rows.length / stem.count, false);
    const joined = new Float64Array(pooled.length + beneath.length);
    joined.set(pooled);
    joined.set(beneath, pooled.length);
    pooled = joined;
  }
  return affine(pooled, 1, net.head.weight, net.head.bias);
}

/** Whether an output at a step can be read from one run, because nothing in the network looks ahead. */
function isCausal(net) {
  return !net.stem.length && !net.bidirectional && !net.views.names.includes("shape");
}

/** Yield [step, output] for steps: what the network says if the sequence ends there. */
function* outputsAt(net, x, count, steps, clamps = []) {
  const wide = x.length / count;
  if (!net.pooling || isCausal(net)) {
    const whole = forward(net, x, count, clamps);
    const outputs = net.head.weight.shape[0];
    const stem = { rows: whole.carried, count };
    for (const step of steps) {
      yield [
        step,
        net.pooling
          ? readOut(net, whole.carried, step, stem)
          : whole.outputs.subarray(step * outputs, (step + 1) * outputs),
      ];
    }
    return;
  }
  for (const step of steps) yield [step, forward(net, x.subarray(0, (step + 1) * wide), step + 1, clamps).outputs];
}

/** Turn outputs of the head into what the estimator predicts: probabilities, or numbers in the units of the target. */
function readPrediction(net, outputs) {
  const reading = net.reading;
  if (reading.kind === "numbers") return Float64Array.from(outputs, (v, k) => v * reading.scale[k] + reading.mean[k]);
  const scaled = Float64Array.from(outputs, (v) => v / reading.temperature);
  const highest = scaled.reduce((a, b) => Math.max(a, b), -Infinity);
  const powers = scaled.map((v) => Math.exp(v - highest));
  const total = powers.reduce((a, b) => a + b, 0);
  return powers.map((v) => v / total);
}

/** Make a network of what the page carries; `unpack` turns a packed array into a Float64Array. */
function loadNetwork(stored, unpack) {
  const visit = (part) => {
    if (Array.isArray(part)) return part.map(visit);
    if (part === null || typeof part !== "object") return part;
    if (typeof part.base64 === "string") return { shape: part.shape, data: unpack(part) };
    return Object.fromEntries(Object.entries(part).map(([name, inner]) => [name, visit(inner)]));
  };
  return visit(stored);
}
