// The upper part of the page: the spans on one ruler, and a chart for each curve that was measured.

const CELL_NAMES = { lstm: "LSTM", gru: "GRU", rnn: "RNN", feedforward: "feed-forward network" };
const cellName = (facts) => CELL_NAMES[facts.cell] ?? "network";
const withArticle = (name) => `${/^(LSTM|RNN)/.test(name) ? "an" : "a"} ${name}`;
const aCell = (facts) => withArticle(cellName(facts));
const atStart = (text) => text[0].toUpperCase() + text.slice(1);

/** What stands where a chart would, if there is nothing to draw. */
function leaveOut(figure, sentence) {
  figure.replaceChildren(make("p", { class: "left-out" }, sentence));
}

function showSubject(report) {
  const { facts } = report;
  const parts = [facts.estimator, `${cellName(facts)} of ${count(facts.hidden_size, "unit")}`];
  if (facts.bidirectional) parts.push("both directions");
  if (facts.n_sequences) {
    const lengths = facts.shortest === facts.longest ? inSteps(facts.longest) : `${facts.shortest} to ${inSteps(facts.longest)}`;
    parts.push(`${count(facts.n_sequences, facts.task === "forecast" ? "window" : "sequence")} of ${lengths}`);
  }
  put(find("subject"), parts.filter(Boolean).join("  ·  "));
  if (report.verdictName) put(find("rule"), report.verdictName);
  else find("rule").remove();
  if (find("headline").textContent.length > 90) find("headline").classList.add("long");
}

// The spans ----------------------------------------------------------------------------------------------------------

const ORDER = ["needed_span", "gradient_span", "gradient_span_at_init", "used_span", "gate_span"];

function showSpans(report) {
  const known = ORDER.map((name) => report.spans.find((span) => span.name === name));
  const rows = known.filter((span) => span.steps !== null || span.endless || span.name === "needed_span");
  const ends = rows.flatMap((span) => [span.steps, span.high]).filter((value) => value !== null);
  const longest = report.facts.longest ?? 1;
  const most = Math.max(10, longest, ...ends.filter((value) => value <= 20 * longest)) * 1.02;
  const place = (steps) => Math.min(1, Math.log1p(steps) / Math.log1p(most)) * 100;
  const list = make("div", { class: "span-list", role: "list" }, ...rows.map((span) => spanRow(span, place)));
  if (report.needed !== null) {
    const line = make("div", { class: "span-row needed", "aria-hidden": "true" }, make("div"), make("div", { class: "track" }, make("i", { style: { left: `${place(report.needed)}%` } })), make("div"));
    list.append(line);
  }
  find("spans").replaceChildren(make("h2", { class: "hidden" }, "The spans, in steps"), list, ruler(place, most));
}

function ruler(place, most) {
  const ticks = [0];
  for (let value = 1; value <= most; value *= 10) ticks.push(value, ...(most < 400 ? [2 * value, 5 * value] : [3 * value]));
  const shown = [...new Set(ticks)].filter((value) => value <= most * 0.86);
  const marks = shown.map((value) => make("span", { style: { left: `${place(value)}%` } }, grouped(value)));
  return make("div", { class: "span-row", "aria-hidden": "true" }, make("div"), make("div", { class: "ruler" }, ...marks), make("div", { class: "ruler-title" }, "steps back"));
}

function spanRow(span, place) {
  const track = make("div", { class: "track", "data-span": span.name, "aria-hidden": "true" });
  const name = make("div", { class: "span-name" }, span.label, make("small", {}, span.meaning));
  const unknown = span.steps === null && !span.endless;
  const value = make("div", { class: unknown ? "span-value soft" : "span-value" }, spanText(span));
  if (unknown) return make("div", { class: "span-row", role: "listitem" }, name, track, value);
  const end = span.endless ? 100 : place(span.steps);
  const open = span.endless || span.atLeast;
  track.append(make("div", { class: open ? "bar open" : "bar", style: { width: `${Math.max(end, 0.5)}%` } }));
  const high = span.high === null ? 100 : place(span.high);
  if (span.low !== null && !span.endless && high - place(span.low) > 0.4) {
    const low = place(span.low);
    track.append(make("div", { class: span.high === null ? "whisker open" : "whisker", style: { left: `${low}%`, width: `${high - low}%` } }));
  }
  const interval = intervalText(span);
  if (interval) value.append(make("small", {}, interval));
  return make("div", { class: "span-row", role: "listitem" }, name, track, value);
}

function spanText(span) {
  if (span.endless) return "every step there is";
  if (span.steps === null) return "not known";
  return `${span.atLeast ? "at least " : ""}${inSteps(span.steps)}`;
}

function intervalText(span) {
  if (span.low === null || span.endless || (span.low === span.steps && span.high === span.steps)) return "";
  return span.high === null ? `${short(span.low)} or more` : `${short(span.low)} to ${short(span.high)}`;
}

// The curves ---------------------------------------------------------------------------------------------------------

const FLOOR = 1e-9;
const positive = (values) => values.map((value) => (value === null || value < FLOOR ? null : value));

function resample(lags, values, onto) {
  const known = new Map(lags.map((lag, k) => [lag, values[k]]));
  return onto.map((lag) => known.get(lag) ?? null);
}

function logRange(groups, least) {
  const all = groups.flat().filter((value) => value !== null && value > 0);
  const low = Math.min(least, ...all);
  const high = Math.max(1, ...all);
  return [Math.max(1e-6, 10 ** Math.floor(Math.log10(low))), high * 1.5];
}

/** Why there is no gradient by lag. */
function noGradient(facts) {
  const name = atStart(aCell(facts));
  if (facts.cell !== "feedforward") return "What this network carries makes no difference to its output now, so there is no gradient to follow.";
  const sight = facts.pooling ? "what lies before its window counts only where its steps are pooled" : "beyond its window it sees nothing, and can learn nothing";
  return `${name} carries no state from step to step, so it has no gradient by lag: ${sight}.`;
}

function showGradient(report) {
  const figure = find("gradient");
  const { gradient, gradient_at_init: atInit } = report.curves;
  const { siblings } = report;
  const stateless = noGradient(report.facts);
  const main = gradient ?? atInit ?? siblings[0];
  if (!main) return leaveOut(figure, stateless);
  const lags = [...new Set([main, atInit, ...siblings].filter(Boolean).flatMap((curve) => curve.lags))].sort((a, b) => a - b);
  const on = (curve, field = "median") => positive(resample(curve.lags, curve[field], lags));
  const lines = [];
  const dashes = { lstm: [2, 3], gru: [7, 4], rnn: [7, 3, 2, 3] };
  for (const sibling of siblings) {
    lines.push({ name: sibling.name, ending: sibling.name, values: on(sibling), colour: "faint", width: 1.4, dash: dashes[sibling.cell] });
  }
  if (atInit && !siblings.some((sibling) => sibling.cell === report.facts.cell)) {
    lines.push({ name: "before training", ending: "before training", values: on(atInit), colour: "soft", width: 1.4, dash: [2, 3] });
  }
  if (gradient) {
    lines.push({ name: "this network", ending: `this ${cellName(report.facts)}`, values: on(gradient), low: on(gradient, "lower"), high: on(gradient, "upper"), colour: "accent", width: 2.6 });
  }
  const span = report.spans.find((each) => each.name === "gradient_span");
  const summary = !gradient ? stateless : span.endless || span.atLeast ? "It stays above one hundredth as far back as the sequences go." : span.steps === null ? "" : `It falls below one hundredth after ${inSteps(span.steps)}.`;
  drawChart(figure, {
    title: "Gradient by lag, G(k)",
    label: `Gradient by lag on a logarithmic axis. ${summary}`,
    height: 380,
    right: 132,
    x: { values: lags, title: "lag k (steps back)", whole: true },
    y: { title: "gradient, relative to lag 0", log: true, range: logRange(lines.map((line) => line.values), 1e-3) },
    lines,
    rules: [
      { axis: "y", at: 0.01, text: "one hundredth", colour: "faint" },
      { axis: "x", at: report.needed, text: `the data need ${tell(report.needed)}`, colour: "counter" },
      { axis: "x", at: span.atLeast ? null : span.steps, text: span.steps === null ? "" : `reaches ${tell(span.steps)}`, colour: "accent" },
    ],
    readout: (index) => (index === null ? [[summary]] : [[`lag ${lags[index]}  `, true], ...lines.map((line) => [`  ${line.ending} ${tell(line.values[index])} `, false])]),
    how: `How to read it: a line says how strong the gradient still is, k steps before the output${gradient ? `; the band holds the middle half of ${grouped(report.facts.n_gradient_anchors ?? report.facts.n_anchors ?? 0)} places measured` : ""}. A straight fall is exponential decay. Where it passes below one hundredth, little is learned any more. Dashed: networks of the same size before any training.`,
  });
}

function showAblation(report) {
  const figure = find("ablation");
  const { ablation, shuffling } = report.curves;
  if (!ablation) {
    leaveOut(figure, "What is lost without the past was not measured here: there was nothing to compare the answers with.");
    return;
  }
  const used = report.spans.find((span) => span.name === "used_span");
  const around = (sign) => ablation.loss.map((value, k) => value + sign * (ablation.error[k] ?? 0));
  const lines = [];
  const level = Math.max(...ablation.loss.map(Math.abs)) <= 1e-9;
  const summary = level || used.steps === 0 ? "It uses nothing of its input: without any of it, it does as well." : used.steps === null ? "" : `With ${used.atLeast ? "at least " : ""}the last ${inSteps(used.steps)} it does as well as with everything.`;
  if (shuffling) lines.push({ ending: "shuffled", values: resample(shuffling.context, shuffling.loss, ablation.context), colour: "faint", dash: [6, 4], joined: true });
  lines.push({ ending: shuffling ? "replaced" : undefined, values: ablation.loss, low: around(-1), high: around(1), colour: "accent", width: 2.4, points: ablation.context.length < 30 });
  drawChart(figure, {
    title: "Loss without the older past, D(K)",
    label: `Loss added when all but the last K steps are replaced. ${used.steps === null ? "" : `Nothing is lost from ${inSteps(used.steps)} on.`}`,
    height: 270,
    right: shuffling ? 70 : 14,
    x: { values: ablation.context, title: "steps left in place, K", log: ablation.context[0] > 0 && ablation.context.at(-1) > 20 * ablation.context[0], whole: true },
    y: { title: `loss added (${ablation.unit})`, range: level ? [0, 1] : undefined },
    lines,
    rules: [
      { axis: "x", at: used.steps, text: used.steps === null ? "" : `uses ${tell(used.steps)}`, colour: "accent" },
      { axis: "x", at: report.needed, text: `needs ${tell(report.needed)}`, colour: "counter" },
    ],
    readout: (index) => (index === null ? [[summary]] : [[`last ${inSteps(ablation.context[index])} kept`, true], [`: loss +${tell(ablation.loss[index])} ± ${tell(ablation.error[index])} on ${tell(ablation.full_loss)}`]]),
    how: "How to read it: inputs older than K steps are taken from another sequence. Where the curve comes down to zero, nothing older is used." + (shuffling ? " Dashed: only their order is lost." : ""),
  });
}

function showOcclusion(report) {
  const figure = find("occlusion");
  const { occlusion } = report.curves;
  if (!occlusion) {
    leaveOut(figure, "Which single stretches of the past matter was not measured here.");
    return;
  }
  const best = occlusion.peaks.length ? occlusion.peaks[0] : null;
  const peaks = best === null ? "No single stretch stands out." : `Most is lost ${best === 0 ? "with the newest input" : `at lag ${best}`}.`;
  const level = Math.max(...occlusion.loss.map(Math.abs)) <= 1e-9;
  const around = (sign) => occlusion.loss.map((value, k) => value + sign * (occlusion.error[k] ?? 0));
  drawChart(figure, {
    title: "Loss without one stretch, O(k)",
    label: `Loss added when a window of ${inSteps(occlusion.width)} is replaced, by its lag. ${peaks}`,
    height: 270,
    x: { values: occlusion.lags, title: "lag k (steps back)", whole: true },
    y: { title: `loss added (${occlusion.unit})`, range: level ? [0, 1] : undefined },
    lines: [{ values: occlusion.loss, low: around(-1), high: around(1), colour: "accent", width: 2.2, points: occlusion.lags.length < 40 }],
    rules: apart(occlusion.peaks, (occlusion.lags.at(-1) - occlusion.lags[0]) * 0.16).slice(0, 3).map((lag) => ({ axis: "x", at: lag, text: `lag ${lag}`, colour: "soft" })),
    readout: (index) => (index === null ? [[peaks]] : [[`${inSteps(occlusion.width)} from lag ${occlusion.lags[index]}`, true], [`: loss +${tell(occlusion.loss[index])} ± ${tell(occlusion.error[index])}`]]),
    how: `How to read it: a window of ${inSteps(occlusion.width)} is swapped for another sequence's. Peaks mark the inputs that the answers rest on.`,
  });
}

/** Those of some lags, the most important first, that are far enough from one another to be named. */
function apart(lags, distance) {
  const kept = [];
  for (const lag of lags) if (kept.every((other) => Math.abs(other - lag) >= distance)) kept.push(lag);
  return kept;
}

function showConstants(report) {
  const figure = find("constants");
  const constants = report.curves.time_constants;
  if (!constants) {
    const ungated = `${atStart(aCell(report.facts))} has no gate that decides what to keep, so its units have no time constants.`;
    const fading = " What it keeps of its past shows in how fast two different pasts come to look the same.";
    put(find("units-lead"), report.curves.forgetting ? ungated + fading : ungated);
    return figure.remove();
  }
  const finite = constants.tau.map((tau) => (tau === null ? 1e7 : Math.max(tau, 0.05)));
  const low = Math.max(0.1, Math.min(...finite));
  const high = Math.max(...finite, low * 10);
  const bins = 24;
  const step = Math.log(high / low) / bins || 1;
  const place = (tau) => Math.max(0, Math.min(bins - 1, Math.floor(Math.log(Math.max(tau, low) / low) / step)));
  const tally = (values) => {
    const counts = new Array(bins).fill(0);
    for (const tau of values) counts[place(tau)] += 1;
    return counts;
  };
  const centres = Array.from({ length: bins }, (_, k) => low * Math.exp((k + 0.5) * step));
  const counts = tally(finite);
  const reach = report.needed === null ? null : finite.filter((tau) => tau >= report.needed).length / finite.length;
  drawChart(figure, {
    title: "Time constants of the units",
    label: `Histogram of the time constants of ${finite.length} units. Median ${inSteps(constants.quantiles["50%"] ?? 0)}.`,
    height: 270,
    x: { values: centres, title: "time constant τ (steps)", log: true, range: [low, low * Math.exp(bins * step)] },
    y: { title: "units", whole: true },
    lines: [{ values: counts, colour: "accent", bars: 0.86 }],
    points: false,
    rules: [
      { axis: "x", at: report.needed, text: `needs ${tell(report.needed)}`, colour: "counter" },
      { axis: "x", at: constants.quantiles["50%"], text: `median ${tell(constants.quantiles["50%"], 2)}`, colour: "soft" },
    ],
    readout: (index) => (index === null ? [[`Half of the ${finite.length} units hold on for ${inSteps(constants.quantiles["50%"])} or more.`]] : [[`${tell(low * Math.exp(index * step), 2)} to ${tell(low * Math.exp((index + 1) * step), 2)} steps`, true], [`: ${count(counts[index], "unit")}`]]),
    how: `How to read it: after τ steps a unit has kept 37% of what it held (τ = −1 / mean log ${constants.gate}).` + (reach === null ? "" : ` ${Math.round(100 * reach)}% of the units hold on for as long as the data need.`),
  });
}

function showForgetting(report) {
  const figure = find("forgetting");
  const curve = report.curves.forgetting;
  if (!curve) return figure.remove();
  const values = positive(curve.median);
  const left = curve.median.at(-1);
  const fading = left > 1 ? `After ${inSteps(curve.steps.at(-1))} the difference is ${tell(left, 2)} times what it was.` : `After ${inSteps(curve.steps.at(-1))}, ${tell(100 * left, 2)}% of the difference is left.`;
  drawChart(figure, {
    title: "How fast the past fades, R(n)",
    label: "Distance of two states with different pasts, by the number of steps since.",
    height: 270,
    x: { values: curve.steps, title: "steps since the pasts differed, n", whole: true },
    y: { title: "distance, relative to n = 0", log: true, range: logRange([values], 0.01) },
    lines: [{ values, low: positive(curve.lower), high: positive(curve.upper), colour: "accent", width: 2.2 }],
    rules: [{ axis: "x", at: report.needed, text: `needs ${tell(report.needed)}`, colour: "counter" }],
    readout: (index) => (index === null ? [[fading]] : [[`after ${inSteps(curve.steps[index])}`, true], [`: ${tell(curve.median[index])} of the difference is left`]]),
    how: "How to read it: two sequences differ at first and then go on alike. The line says how much of the difference in the state is left.",
  });
}

function showWindows(report) {
  const figure = find("windows");
  const curve = report.curves.window_models;
  if (!curve) return figure.remove();
  drawChart(figure, {
    title: "What a model with a short window reaches",
    label: `Cross-validated ${curve.score_name} of a small model that sees the last W steps.`,
    height: 270,
    x: { values: curve.windows, title: "steps that it sees, W", log: curve.windows.at(-1) > 20 * curve.windows[0], whole: true },
    y: { title: curve.score_name },
    lines: [{ values: curve.score, colour: "accent", width: 2.2, points: true }],
    rules: [{ axis: "x", at: report.needed, text: `needs ${tell(report.needed)}`, colour: "counter" }],
    readout: (index) => (index === null ? [[`With the last ${inSteps(curve.windows.at(-1))}: ${curve.score_name} ${tell(curve.score.at(-1))}.`]] : [[`last ${inSteps(curve.windows[index])}`, true], [`: ${curve.score_name} ${tell(curve.score[index])}`]]),
    how: "How to read it: small models see the last W steps and nothing else. Where the curve is level, a longer view adds nothing; what the data need is at least where that begins.",
  });
}

function showInfluence(report) {
  const figure = find("influence");
  const curve = report.curves.influence;
  if (!curve) return figure.remove();
  const values = positive(curve.median);
  if (values.every((value) => value === null)) return leaveOut(figure, "No input moves the output: the network answers with a constant.");
  drawChart(figure, {
    title: "Influence of the inputs, I(k)",
    label: "How much the output changes with the input k steps back, on a logarithmic axis.",
    height: 270,
    x: { values: curve.lags, title: "lag k (steps back)", whole: true },
    y: { title: "output per s.d. of the input", log: true, range: logRange([values], 1e-3) },
    lines: [{ values, low: positive(curve.lower), high: positive(curve.upper), colour: "accent", width: 2.2 }],
    rules: [{ axis: "x", at: report.needed, text: `needs ${tell(report.needed)}`, colour: "counter" }],
    readout: (index) => (index === null ? [[`The input at lag 0 counts ${tell(curve.median[0], 2)}, the one at lag ${curve.lags.at(-1)} ${tell(curve.median.at(-1), 2)}.`]] : [[`lag ${curve.lags[index]}`, true], [`: ${tell(curve.median[index])}`]]),
    how: "How to read it: the size of the change in the output when the input k steps back moves by one standard deviation.",
  });
}

/** Charts of one row that were taken out leave the other the whole width. */
function tidyPairs() {
  for (const pair of document.querySelectorAll(".pair")) {
    const section = pair.closest("section");
    if (!pair.children.length) (section.id === "ask" ? section : pair).remove();
    pair.classList.toggle("single", pair.children.length === 1);
  }
}

// Notes --------------------------------------------------------------------------------------------------------------

const FACT_NAMES = {
  estimator: "Estimator", task: "Task", cell: "Cell", hidden_size: "Hidden units", num_layers: "Layers", bidirectional: "Both directions",
  pooling: "Pooling", stride: "Steps of data per step of the cell", parameters: "Weights", n_sequences: "Sequences measured", n_features: "Channels",
  shortest: "Shortest sequence", longest: "Longest sequence", n_anchors: "Outputs looked at", n_gradient_anchors: "Outputs followed back", loss: "Loss there", score: "Score there", measured: "Gradient measured at",
  needed_source: "Needed span from", device: "Device", seconds: "Seconds it took",
};

const METHODS = [
  ["Gradient by lag, G(k)", "The norm of the derivative of an output with respect to the state k steps back, relative to the state at the output. Its span is the first lag below one hundredth. (Bengio et al. 1994; Hochreiter & Schmidhuber 1997; Pascanu et al. 2013.)"],
  ["Context ablation, D(K)", "The loss with inputs older than K steps replaced by another sequence's, less the full loss. The used span is the smallest K at which that is within 1% of the loss, or one standard error."],
  ["Lag occlusion, O(k)", "The change of the loss when one window of the past is swapped with another sequence's."],
  ["Time constant, τ", "−1 over the mean logarithm of a unit's forget gate: a state that is multiplied by f at every step falls to 37% in τ steps."],
  ["Forgetting curve, R(n)", "The distance of two states n steps after different pasts, with the same inputs since, relative to n = 0."],
  ["Needed span", "Given, or estimated: the shortest window with which a small model does as well as with any. An estimate is a lower bound, since other models may find more further back."],
];

function showNotes(report) {
  const shown = Object.entries(FACT_NAMES).filter(([name]) => report.facts[name] !== null && report.facts[name] !== undefined);
  const told = { loss: (fact) => `${tell(fact)} (${report.facts.unit})`, score: (fact) => `${report.facts.score_name} ${fixed(fact)}`, cell: () => cellName(report.facts), seconds: (fact) => tell(fact, 2) };
  const plain = (fact) => (typeof fact === "boolean" ? (fact ? "yes" : "no") : typeof fact === "number" ? (Number.isInteger(fact) ? grouped(fact) : tell(fact)) : String(fact));
  const facts = make("dl", { class: "facts" }, ...shown.map(([name, label]) => make("div", {}, make("dt", {}, label), make("dd", {}, (told[name] ?? plain)(report.facts[name])))));
  if (report.trainingWindow !== null) facts.append(make("div", {}, make("dt", {}, "Training window"), make("dd", {}, inSteps(report.trainingWindow))));
  const body = make("tbody", {}, ...report.spans.map((span) => make("tr", {}, make("th", { scope: "row" }, span.label), make("td", {}, span.endless ? "∞" : span.steps === null ? "not known" : `${span.atLeast ? "≥ " : ""}${tell(span.steps)}`), make("td", {}, intervalText(span) || "–"))));
  const table = make("table", { class: "numbers" }, make("thead", {}, make("tr", {}, make("th", {}, "Span, in steps"), make("th", {}, "steps"), make("th", {}, "interval"))), body);
  const gates = saturationTable(report.curves.saturation);
  find("notes-body").replaceChildren(
    facts,
    make("details", {}, make("summary", {}, "The spans as a table"), make("div", { class: "wide-table" }, table)),
    ...(gates ? [make("details", {}, make("summary", {}, "How often gates are shut or open"), make("div", { class: "wide-table" }, gates))] : []),
    make("details", {}, make("summary", {}, "Definitions"), make("dl", {}, ...METHODS.flatMap(([term, text]) => [make("dt", {}, term), make("dd", {}, text)]))),
  );
}

function saturationTable(saturation) {
  if (!saturation) return null;
  const mean = (values) => values.reduce((a, b) => a + b, 0) / values.length;
  const rows = saturation.gates.map((gate, k) => make("tr", {}, make("th", { scope: "row" }, GATE_NAMES[gate] ?? gate), make("td", {}, `${tell(100 * mean(saturation.shut[k]))}%`), make("td", {}, `${tell(100 * mean(saturation.opened[k]))}%`)));
  return make("table", { class: "numbers" }, make("thead", {}, make("tr", {}, make("th", {}, "Gate, all units and steps"), make("th", {}, "below 0.1"), make("th", {}, "above 0.9"))), make("tbody", {}, ...rows));
}
