// The explorer: one sequence in time, under one scrubber.

const view = { step: 0, hover: null, part: 0, field: null, row: 0, edits: null, edited: null, charts: {} };

function startExplorer(explorer) {
  const body = find("explorer-body");
  if (typeof explorer === "string") {
    put(find("explorer-lead"), explorer);
    return;
  }
  view.explorer = explorer;
  view.net = explorer.network ? loadNetwork(explorer.network, unpack) : null;
  view.tau = explorer.tau ? unpack(explorer.tau) : null;
  view.deviations = unpack(explorer.deviations);
  view.means = unpack(explorer.means);
  view.fields = FIELDS[explorer.cell];
  view.field = view.fields[0] ?? null;
  view.main = make("div", { class: "stack" });
  view.side = make("div", { class: "side" });
  body.replaceChildren(controls(), make("div", { class: "explorer" }, view.main, view.side));
  openSequence(0);
}

const shownStep = () => view.hover ?? view.step;

// Choosing -----------------------------------------------------------------------------------------------------------

function controls() {
  const { explorer } = view;
  const options = explorer.examples.map((example, k) => make("option", { value: k }, describeExample(example)));
  const picker = make("select", { id: "sequence", onchange: (event) => openSequence(Number(event.target.value)) }, ...options);
  return make("div", { class: "controls" }, make("label", { class: "field" }, "Sequence", picker));
}

function describeExample(example) {
  const parts = [`no. ${example.number}`, inSteps(example.length)];
  if (example.target !== null) parts.push(`is ${example.target}`);
  if (!view.explorer.perStep && view.explorer.answers.length && view.explorer.classes) parts.push(`read as ${example.predicted}`);
  return parts.join(", ");
}

/** Radio buttons that look like one. */
function segments(name, legend, choices, chosen, onPick) {
  const labels = choices.map(([value, text]) => {
    const input = make("input", { type: "radio", name, value, onchange: () => onPick(value) });
    input.checked = value === chosen;
    return make("label", {}, input, make("span", {}, text));
  });
  return make("div", { class: "segments", role: "radiogroup", "aria-label": legend }, ...labels);
}

function openSequence(place) {
  view.place = place;
  view.example = openExample(view.explorer, view.net, place);
  view.step = view.example.length - 1;
  view.hover = null;
  view.edits = { inputs: null, clamps: [] };
  view.edited = null;
  view.charts = {};
  view.light = null;
  drawMain();
  drawSide();
  refresh();
}

// The stack of charts ------------------------------------------------------------------------------------------------

function drawMain() {
  const figures = {};
  for (const name of ["prediction", "inputs", "heatmap", "unit"]) figures[name] = make("figure", { class: "chart", id: `x-${name}` });
  const { example, explorer } = view;
  const children = [figures.prediction, figures.inputs, scrubber()];
  if (view.fields.length) children.push(heatControls(), figures.heatmap, figures.unit);
  else children.push(make("p", { class: "left-out" }, "A feed-forward network has no gates and no state: each answer is made of the last steps it sees, so there is nothing to draw between input and answer."));
  view.main.replaceChildren(...children);
  view.range = [-0.5, Math.max(example.length - 0.5, 0.5)];
  drawPredictions(figures.prediction);
  drawInputs(figures.inputs);
  if (view.fields.length) {
    drawHeatmap(figures.heatmap);
    drawUnit(figures.unit);
  }
}

const timeAxis = (values, title) => ({ values, title, range: view.range, whole: true });
const hoverAt = (values) => (index) => hover(index === null ? null : Math.round(values[index]));

function drawPredictions(figure) {
  const { example, explorer } = view;
  const ranked = answersToShow();
  const column = (k) => example.asked.map((_, p) => example.predictions[p * example.answers + k]);
  const truth = example.stored.truth;
  const lines = ranked.map((k, place) => ({
    answer: k,
    name: explorer.answers[k],
    ending: answerName(k),
    values: column(k),
    colour: place === 0 ? "accent" : "faint",
    width: place === 0 ? 2.6 : 1.4,
    dash: place === 0 ? undefined : [[6, 4], [2, 3], [8, 3, 2, 3], [1, 4]][(place - 1) % 4],
    points: example.asked.length < 3,
  }));
  view.ghosts = lines.map((line) => line.answer);
  const edited = lines.map((line) => ({ name: `${line.name}, changed`, values: example.asked.map(() => null), colour: "counter", width: line.colour === "accent" ? 2.4 : 1.4, dash: line.dash, joined: true }));
  const targets = explorer.classes || truth === null ? [] : targetLines(ranked, truth);
  const title = explorer.perStep ? "What it says at each step" : "What it would say if the sequence ended here";
  view.charts.prediction = drawChart(figure, {
    title,
    label: `${title}, over the steps of the sequence.`,
    height: 218,
    right: 112,
    aligned: true,
    x: timeAxis(example.asked, "step"),
    y: explorer.classes ? { title: "probability", range: [0, 1.02] } : { title: "prediction" },
    lines: [...lines, ...edited, ...targets],
    readout: (index) => readPredictions(index === null ? nearest(example.asked, view.step) : index),
    onHover: hoverAt(example.asked),
    onPick: (index) => pin(example.asked[index]),
  });
}

function targetLines(ranked, truth) {
  const { example } = view;
  const at = (step, k) => (view.explorer.perStep ? truth[nearest(example.steps, step)][k] : truth[0][k]) ?? null;
  return ranked.slice(0, 1).map((k) => ({ name: "target", ending: "target", values: example.asked.map((step) => at(step, k)), colour: "soft", width: 1.4, dash: [3, 3] }));
}

/** Answers that get a line: the one given at the end, the right one, and the next most likely. */
function answersToShow() {
  const { example, explorer } = view;
  const last = example.asked.length - 1;
  const ends = Array.from({ length: example.answers }, (_, k) => [example.predictions[last * example.answers + k], k]);
  if (!explorer.classes) return ends.slice(0, 4).map(([, k]) => k);
  const ranked = ends.sort((a, b) => b[0] - a[0]).map(([, k]) => k);
  const right = explorer.perStep ? -1 : (example.stored.truth ?? [-1])[0];
  const shown = ranked.slice(0, 4);
  if (right >= 0 && !shown.includes(right)) shown[shown.length - 1] = right;
  return shown;
}

function answerName(k) {
  const { explorer, example } = view;
  const right = explorer.classes && !explorer.perStep && example.stored.truth !== null && example.stored.truth[0] === k;
  const name = explorer.answers[k];
  const short = name.length > 15 ? `${name.slice(0, 14)}…` : name;
  return right ? `${short} (right)` : short;
}

function readPredictions(index) {
  const { example, explorer } = view;
  const value = (k) => example.predictions[index * example.answers + k];
  const parts = [[`step ${example.asked[index]}`, true]];
  const after = view.edited?.along[index];
  const said = (number) => (explorer.classes ? fixed(number, 2) : tell(number));
  for (const k of view.ghosts ?? answersToShow()) parts.push([`   ${explorer.answers[k]} `, false], [`${said(value(k))}${after ? ` → ${said(after[k])}` : ""}`, true]);
  if (explorer.classes && explorer.perStep && example.stored.truth) {
    const right = explorer.answers[example.stored.truth[nearest(example.steps, example.asked[index])]];
    if (right !== undefined) parts.push([`   right: ${right}`, false]);
  }
  return parts;
}

function drawInputs(figure) {
  const { example, explorer } = view;
  const channels = Math.min(explorer.channels.length, example.width);
  const few = channels <= 4;
  const column = (k, from) => example.steps.map((_, t) => (from ? finite(from[t * example.width + k]) : null));
  const dashes = [undefined, [6, 4], [2, 3], [8, 3, 2, 3]];
  const drawn = (from, colour) => Array.from({ length: few ? channels : 0 }, (_, k) => ({ name: explorer.channels[k], ending: colour === "ink" ? shorten(explorer.channels[k]) : undefined, values: column(k, from), colour, width: 1.5, dash: dashes[k], points: example.steps.length < 60 }));
  const picture = { canvas: null };
  view.charts.inputs = drawChart(figure, {
    title: "The input, and what the answer rests on",
    label: `The input: ${explorer.channels.slice(0, channels).join(", ")}; lit where it influences the answer at the chosen step.`,
    height: few ? 190 : Math.min(320, 96 + 15 * channels),
    right: 112,
    aligned: true,
    x: timeAxis(example.steps, "step"),
    y: few ? { title: "input", range: () => inputRange(channels) } : { title: "channels", range: [0, channels * 1.28], splits: () => [], grid: false },
    lines: few ? [...drawn(example.inputs, "ink"), ...drawn(null, "counter")] : [{ values: example.steps.map(() => null), colour: "ink" }],
    points: few,
    under: few ? undefined : (u) => layInputs(u, channels, picture),
    over: (u) => {
      if (!few) nameChannels(u, channels);
      lightInputs(shownStep());
    },
    readout: (index) => readInputs(index === null ? nearest(example.steps, view.step) : index, channels),
    onHover: hoverAt(example.steps),
    onPick: (index) => pin(example.steps[index]),
    how: "How to read it: the bars at the top show how much the answer at the chosen step would change with each input (its gradient, largest = full height). Move over any chart to light up the inputs behind the answer there.",
  });
  view.inputPicture = picture;
  view.light = layerUnder(view.charts.inputs);
  view.charts.inputs.few = few;
}

const finite = (value) => (Number.isFinite(value) ? value : null);
const shorten = (name) => (name.length > 14 ? `${name.slice(0, 13)}…` : name);

function inputRange(channels) {
  const { example } = view;
  let [low, high] = [Infinity, -Infinity];
  for (const inputs of [example.inputs, view.edits.inputs ?? []]) {
    for (let at = 0; at < inputs.length; at++) {
      if (at % example.width >= channels || !Number.isFinite(inputs[at])) continue;
      low = Math.min(low, inputs[at]);
      high = Math.max(high, inputs[at]);
    }
  }
  if (low > high) return [0, 1];
  const span = high - low || 1;
  return [low - 0.06 * span, high + 0.36 * span];
}

function layInputs(u, channels, picture) {
  const { example } = view;
  if (!picture.canvas || picture.theme !== palette) {
    const inputs = view.edited?.inputs ?? example.inputs;
    picture.theme = palette;
    picture.canvas = paint(channels, example.steps.length, (row, t) => (inputs[t * example.width + row] - view.means[row]) / (2.5 * (view.deviations[row] || 1)));
  }
  lay(u, picture.canvas, -0.5, example.length - 0.5, 0, channels);
}

function nameChannels(u, channels) {
  const { ctx, bbox } = u;
  const dpr = devicePixelRatio;
  if (isNarrow(u.width)) return;
  const every = Math.max(1, Math.ceil((13 * dpr * channels * 1.28) / bbox.height));
  ctx.save();
  ctx.font = FONT(11);
  ctx.fillStyle = colour("soft");
  ctx.textAlign = "left";
  ctx.textBaseline = "middle";
  for (let k = 0; k < channels; k += every) {
    ctx.fillText(shorten(view.explorer.channels[k]), bbox.left + bbox.width + 8 * dpr, u.valToPos(channels - k - 0.5, "y", true));
  }
  ctx.restore();
}

function readInputs(index, channels) {
  const { example, explorer } = view;
  const inputs = view.edited?.inputs ?? example.inputs;
  const parts = [[`step ${example.steps[index]}`, true]];
  for (let k = 0; k < Math.min(channels, 6); k++) parts.push([`   ${shorten(explorer.channels[k])} `, false], [tell(inputs[index * example.width + k]), true]);
  if (channels > 6) parts.push([`   and ${channels - 6} more`, false]);
  return parts;
}

/** Light up the inputs behind the answer at a step. */
function lightInputs(step) {
  const { example, charts } = view;
  if (!view.light) return;
  const row = nearest(example.asked, step);
  const u = charts.inputs.u;
  view.light((ctx, width, height) => {
    const count = example.steps.length;
    const column = Math.max(1.5, (width / count) * 0.82);
    const room = Math.min(34, height * 0.2);
    ctx.fillStyle = colour("accent");
    for (let t = 0; t < count; t++) {
      const strength = example.influence[row * count + t];
      if (strength < 0.02) continue;
      const x = u.valToPos(example.steps[t], "x") - column / 2;
      ctx.globalAlpha = 0.16 * strength;
      ctx.fillRect(x, 0, column, height);
      ctx.globalAlpha = 0.95;
      ctx.fillRect(x, 0, column, room * strength);
    }
  });
}

// Moving -------------------------------------------------------------------------------------------------------------

function scrubber() {
  const { example } = view;
  const range = make("input", { type: "range", id: "scrub", min: 0, max: example.length - 1, step: 1, "aria-label": "Step of the sequence", oninput: (event) => pin(Number(event.target.value)) });
  range.value = view.step;
  view.scrub = range;
  view.scrubText = make("output", { for: "scrub" });
  const play = make("button", { type: "button", class: "round", "aria-label": "Play", onclick: () => playOrPause(play) }, "▶");
  view.playButton = play;
  return make("div", { class: "scrub" }, play, range, view.scrubText);
}

function playOrPause(button) {
  if (view.playing) return stopPlaying();
  const { example } = view;
  if (view.step >= example.length - 1) pin(0);
  put(button, "❚❚").setAttribute("aria-label", "Pause");
  const pace = Math.max(16, Math.min(220, 9000 / example.length));
  const jump = Math.max(1, Math.round(example.length / 560));
  view.playing = setInterval(() => {
    if (view.step >= example.length - 1) return stopPlaying();
    pin(Math.min(example.length - 1, view.step + jump), true);
  }, pace);
}

function stopPlaying() {
  clearInterval(view.playing);
  view.playing = null;
  put(view.playButton, "▶").setAttribute("aria-label", "Play");
}

function pin(step, playing = false) {
  if (view.playing && !playing) stopPlaying();
  view.step = step;
  view.hover = null;
  refresh();
}

function hover(step) {
  if (step === view.hover) return;
  view.hover = step;
  refresh();
}

/** Bring everything to the step that is shown. */
function refresh() {
  const step = shownStep();
  const { example, explorer, charts } = view;
  view.scrub.value = view.step;
  put(view.scrubText, `step ${step} of ${example.length - 1}`);
  for (const chart of Object.values(charts)) moveCursor(chart, step);
  lightInputs(step);
  if (view.diagram) refreshCell(step);
  if (view.editor) view.editor.follow(step);
}

/** Move a chart's own line to a step, without telling anyone. */
function moveCursor(chart, step) {
  const { u, spec } = chart;
  const index = nearest(spec.x.values, step);
  chart.silent = true;
  u.setCursor({ left: u.valToPos(step, "x"), top: u.over.clientHeight / 2 }, false);
  chart.silent = false;
  chart.index = index;
  tellReadout(chart, index);
}
