// What if: change an input, or hold a gate, and the network is computed anew.

function whatIfCard() {
  const card = make("div", { class: "card whatif", id: "whatif" }, make("h3", {}, "What if?"));
  view.editor = null;
  if (!view.net) {
    card.append(make("p", {}, view.explorer.notLive ?? "What-if is left out here."));
    return card;
  }
  card.append(make("p", {}, "Change something, and the whole network is computed anew on this page."));
  card.append(inputEditor());
  if (HOLDABLE[view.explorer.cell].length) card.append(gateEditor());
  else card.append(make("p", { style: { marginTop: "14px" } }, `${atStart(withArticle(CELL_NAMES[view.explorer.cell]))} has no gates to hold.`));
  view.outcome = make("div", { class: "outcome", "aria-live": "polite" });
  view.undo = make("button", { type: "button", id: "undo", style: { marginTop: "14px" }, onclick: undoAll }, "Undo all changes");
  card.append(view.outcome, view.undo);
  showOutcome();
  return card;
}

// An input -----------------------------------------------------------------------------------------------------------

function inputEditor() {
  const { example, explorer } = view;
  const channels = Math.min(explorer.channels.length, example.width);
  const picker = make("select", { id: "channel", "aria-label": "Channel" }, ...Array.from({ length: channels }, (_, k) => make("option", { value: k }, explorer.channels[k])));
  const slider = make("input", { type: "range", id: "input-value", "aria-label": "Value of the input" });
  const exact = make("input", { type: "number", id: "input-number", step: "any", "aria-label": "Value of the input, as a number" });
  const legend = make("legend", {});
  const at = () => view.step * example.width + Number(picker.value);
  const follow = () => {
    const k = Number(picker.value);
    const now = (view.edits.inputs ?? example.inputs)[at()];
    const [low, high] = channelRange(k);
    Object.assign(slider, { min: low, max: high, step: (high - low) / 200 });
    slider.value = now;
    slider.disabled = exact.disabled = !Number.isFinite(now);
    if (document.activeElement !== exact) exact.value = Number.isFinite(now) ? Number(now.toPrecision(5)) : "";
    put(legend, `The input at step ${view.step}`);
  };
  const change = (value) => {
    if (!Number.isFinite(value)) return;
    view.edits.inputs ??= Float64Array.from(example.inputs);
    view.edits.inputs[at()] = value;
    changed();
  };
  picker.addEventListener("change", follow);
  slider.addEventListener("input", () => change(Number(slider.value)));
  exact.addEventListener("input", () => exact.value !== "" && change(Number(exact.value)));
  const silence = make("button", { type: "button", onclick: () => silenceStep(channels) }, "All channels to their mean");
  view.editor = { follow };
  follow();
  const choices = channels > 1 ? make("div", { class: "choices" }, picker) : null;
  return make("fieldset", {}, legend, choices, make("div", { class: "line" }, slider, exact), channels > 1 ? silence : null);
}

function channelRange(k) {
  const { example } = view;
  let [low, high] = [Infinity, -Infinity];
  for (let at = k; at < example.inputs.length; at += example.width) {
    if (!Number.isFinite(example.inputs[at])) continue;
    low = Math.min(low, example.inputs[at]);
    high = Math.max(high, example.inputs[at]);
  }
  const room = view.deviations[k] || 1;
  return [low - 1.5 * room, high + 1.5 * room];
}

function silenceStep(channels) {
  const { example } = view;
  view.edits.inputs ??= Float64Array.from(example.inputs);
  for (let k = 0; k < channels; k++) view.edits.inputs[view.step * example.width + k] = view.means[k];
  changed();
}

// A gate -------------------------------------------------------------------------------------------------------------

function gateEditor() {
  const gates = HOLDABLE[view.explorer.cell];
  const gate = make("select", { id: "gate", "aria-label": "Gate" }, ...gates.map((name) => make("option", { value: name }, GATE_NAMES[name])));
  const who = make("select", { id: "who", "aria-label": "Units" }, make("option", { value: "unit" }, "of this unit"), make("option", { value: "all" }, "of all units"));
  const when = make("select", { id: "when", "aria-label": "Steps" }, make("option", { value: "all" }, "at every step"), make("option", { value: "here" }, "at this step"), make("option", { value: "after" }, "from this step on"));
  const slider = make("input", { type: "range", id: "gate-value", min: 0, max: 1, step: 0.01, value: 1, "aria-label": "Value at which the gate is held" });
  const value = make("output", { for: "gate-value" }, "1.00");
  const on = make("input", { type: "checkbox", id: "hold" });
  const apply = () => {
    slider.min = SIGNED.has(gate.value) ? -1 : 0;
    put(value, fixed(Number(slider.value), 2));
    view.edits.clamps = on.checked ? clampsOf(gate.value, who.value, when.value, Number(slider.value)) : [];
    changed();
  };
  for (const node of [gate, who, when, on]) node.addEventListener("change", apply);
  slider.addEventListener("input", () => {
    on.checked = true;
    apply();
  });
  view.resetGate = () => {
    on.checked = false;
  };
  view.reapplyGate = () => on.checked && apply();
  return make("fieldset", {}, make("legend", {}, make("label", {}, on, " Hold a gate")), make("div", { class: "choices" }, gate, who, when), make("div", { class: "line" }, slider, value));
}

function clampsOf(gate, who, when, value) {
  const part = view.example.parts[view.part];
  const column = columnOf(view.explorer, part, view.step);
  const last = part.columns.length - 1;
  const [from, to] = { all: [0, last], here: [column, column], after: part.direction ? [0, column] : [column, last] }[when];
  const shared = { gate, value, from, to };
  if (who === "unit") return [{ ...shared, layer: part.layer, direction: part.direction, unit: part.units[view.row] }];
  return view.example.parts.map((each) => ({ ...shared, layer: each.layer, direction: each.direction, unit: null }));
}

// What comes of it ---------------------------------------------------------------------------------------------------

function changed() {
  view.edited = isEdited(view.edits) ? recompute(view.explorer, view.net, view.example, view.edits) : null;
  showOutcome();
  showChangedUnit();
  if (view.unitPicture) {
    view.unitPicture.canvas = null;
    view.charts.heatmap.u.redraw(false, false);
  }
  showChangedInputs();
  showChangedPredictions();
  goOn();
  refresh();
}

function undoAll() {
  view.edits = { inputs: null, clamps: [] };
  if (view.resetGate) view.resetGate();
  changed();
}

function showChangedInputs() {
  const chart = view.charts.inputs;
  const { example } = view;
  view.inputPicture.canvas = null;
  if (!chart.few) return chart.u.redraw(false, false);
  const half = chart.spec.lines.length / 2;
  const inputs = view.edits.inputs;
  updateLines(chart, chart.spec.lines.map((line, k) => {
    if (k < half) return line;
    return { ...line, values: example.steps.map((_, t) => around(inputs, example, t, k - half)) };
  }));
}

/** A changed value, and its neighbours so that a line joins them; null where nothing was changed. */
function around(inputs, example, t, k) {
  if (!inputs) return null;
  const differs = (s) => s >= 0 && s < example.length && !Object.is(inputs[s * example.width + k], example.inputs[s * example.width + k]);
  return differs(t - 1) || differs(t) || differs(t + 1) ? finite(inputs[t * example.width + k]) : null;
}

function showChangedPredictions() {
  const chart = view.charts.prediction;
  const shown = view.ghosts.length;
  const along = view.edited ? view.edited.along : null;
  updateLines(chart, chart.spec.lines.map((line, k) => {
    if (k < shown || k >= 2 * shown) return line;
    return { ...line, values: view.example.asked.map((_, p) => (along && along[p] ? along[p][view.ghosts[k - shown]] : null)) };
  }));
}

/** Compute the answers along the way, a few milliseconds at a time. */
function goOn() {
  const { edited, example, net } = view;
  if (!edited || edited.running) return;
  edited.running = true;
  const places = new Map(example.asked.map((step, p) => [step, p]));
  const work = () => {
    if (view.edited !== edited) return;
    const until = performance.now() + 14;
    let next = edited.rest.next();
    while (!next.done) {
      const [step, outputs] = next.value;
      edited.along[places.get(step)] = readPrediction(net, outputs);
      if (performance.now() > until) break;
      next = edited.rest.next();
    }
    showChangedPredictions();
    moveCursor(view.charts.prediction, shownStep());
    if (next.done) edited.complete = true;
    else setTimeout(work, 0);
  };
  work();
}

function showOutcome() {
  const { example, explorer, edited } = view;
  const last = example.asked.length - 1;
  const before = (k) => example.predictions[last * example.answers + k];
  const show = (value) => (explorer.classes ? fixed(value, 3) : tell(value, 4));
  const order = edited && explorer.classes ? [...new Set([...answersToShow().slice(0, 2), ...byLikelihood(edited.final).slice(0, 2)])] : answersToShow().slice(0, 4);
  const rows = order.map((k) => {
    const after = edited ? edited.final[k] : before(k);
    const moved = edited && Math.abs(after - before(k)) > 5e-4 * (explorer.classes ? 1 : Math.abs(before(k)) || 1);
    return make("tr", {}, make("th", { scope: "row" }, explorer.answers[k]), make("td", {}, show(before(k))), make("td", { class: moved ? "changed" : null }, edited ? show(after) : "–"));
  });
  const said = explorer.perStep ? "At the last step" : "At the end it says";
  view.outcome.replaceChildren(
    make("table", {}, make("thead", {}, make("tr", {}, make("th", { scope: "col" }, said), make("th", { scope: "col" }, "before"), make("th", { scope: "col" }, "changed"))), make("tbody", {}, ...rows)),
  );
  view.undo.disabled = !edited;
}

const byLikelihood = (values) => Array.from(values, (value, k) => [value, k]).sort((a, b) => b[0] - a[0]).map(([, k]) => k);
