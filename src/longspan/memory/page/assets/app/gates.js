// Gates and states of all units, the course of one unit, and its cell.

function heatControls() {
  const { explorer, example } = view;
  const choices = view.fields.map((field) => [field, GATE_NAMES[field]]);
  const row = make("div", { class: "controls", style: { marginBottom: "-10px", marginTop: "10px" } });
  row.append(segments("field", "What the picture shows", choices, view.field, (field) => {
    view.field = field;
    redrawUnits();
  }));
  if (example.parts.length > 1) {
    const several = example.parts[example.parts.length - 1].layer > 0;
    const names = example.parts.map((part, p) => [String(p), `${several ? `layer ${part.layer + 1} ` : ""}${part.direction ? "backward" : "forward"}`.trim()]);
    row.append(segments("part", "Layer and direction", names, String(view.part), (p) => {
      view.part = Number(p);
      redrawUnits();
    }));
  }
  view.scaleBox = make("span", { class: "scale" });
  row.append(view.scaleBox);
  return row;
}

const currentPart = () => (view.edited ? view.edited.parts : view.example.parts)[view.part];

/** The time constant of a row of the picture, in steps. */
function tauOf(row) {
  if (!view.tau) return null;
  const size = view.tau.length / view.example.parts.length;
  return view.tau[view.part * size + view.example.parts[view.part].units[row]];
}

function drawHeatmap(figure) {
  const { example, explorer } = view;
  const part = currentPart();
  const rows = part.units.length;
  const picture = { canvas: null };
  view.unitPicture = picture;
  const columns = part.columns.map((column) => centre(explorer, example, column));
  const named = view.tau ? (place) => tell(tauOf(Math.min(rows - 1, Math.max(0, Math.round(rows - place - 0.5)))), 2) : (place) => grouped(rows - place - 0.5);
  view.charts.heatmap = drawChart(figure, {
    title: `${capital(GATE_NAMES[view.field])} of ${rows === 1 ? "the unit" : `${rows} units`}`,
    label: `Heatmap of the ${GATE_NAMES[view.field]}: ${rows} units${view.tau ? ", those with the longest memory on top" : ""}, over the steps. Up and down arrows choose a unit.`,
    height: Math.max(150, Math.min(360, 70 + 5 * rows)),
    right: 112,
    aligned: true,
    x: timeAxis(columns, "step"),
    y: { title: view.tau ? "time constant τ (steps)" : "unit", range: [0, rows], splits: () => [0.12, 0.37, 0.63, 0.88].map((share) => Math.floor(share * rows) + 0.5), names: named, grid: false },
    lines: [{ values: columns.map(() => null), colour: "ink" }],
    points: false,
    under: (u) => layUnits(u, picture),
    over: (u) => markUnit(u, rows),
    readout: (index) => readUnit(index ?? columnOf(explorer, part, view.step)),
    onHover: hoverAt(columns),
    onPick: (index, y) => {
      chooseUnit(Math.max(0, Math.min(rows - 1, Math.floor(rows - y))));
      pin(Math.round(columns[index]));
    },
    how: `How to read it: each row is a unit${view.tau ? ", the longest memory on top" : ""}; ${SIGNED.has(view.field) ? "blue is above zero, orange below, the stronger the further" : "the stronger the colour, the further it is open"}. Click a row to look into its cell.`,
  });
  view.charts.heatmap.plot.addEventListener("keydown", (event) => {
    if (event.key !== "ArrowUp" && event.key !== "ArrowDown") return;
    event.preventDefault();
    chooseUnit(Math.max(0, Math.min(rows - 1, view.row + (event.key === "ArrowDown" ? 1 : -1))));
  });
  const signed = SIGNED.has(view.field);
  const bound = fieldBound();
  view.scaleBox.replaceChildren(signed ? `−${tell(bound, 2)}` : "0", scaleStrip(signed ? -1 : 0), signed ? tell(bound, 2) : "1");
}

const capital = (text) => text[0].toUpperCase() + text.slice(1);

function fieldBound() {
  if (!SIGNED.has(view.field)) return 1;
  const part = view.example.parts[view.part];
  let most = 0;
  for (let column = 0; column < part.columns.length; column++) {
    for (let row = 0; row < part.units.length; row++) most = Math.max(most, Math.abs(part.at(view.field, column, row)));
  }
  return most || 1;
}

function layUnits(u, picture) {
  const { example, explorer } = view;
  const part = currentPart();
  if (!picture.canvas || picture.theme !== palette || picture.part !== part) {
    const bound = fieldBound();
    picture.theme = palette;
    picture.part = part;
    picture.canvas = paint(part.units.length, part.columns.length, (row, column) => part.at(view.field, column, row) / bound);
  }
  const first = part.columns[0] * explorer.stride;
  const last = (part.columns[part.columns.length - 1] + 1) * explorer.stride;
  lay(u, picture.canvas, first - 0.5, last - 0.5, 0, part.units.length);
}

function markUnit(u, rows) {
  const { ctx, bbox } = u;
  const dpr = devicePixelRatio;
  const top = u.valToPos(rows - view.row, "y", true);
  const bottom = u.valToPos(rows - view.row - 1, "y", true);
  ctx.save();
  ctx.strokeStyle = colour("ink");
  ctx.lineWidth = 1.5 * dpr;
  ctx.strokeRect(bbox.left, top, bbox.width, Math.max(bottom - top, 2 * dpr));
  ctx.fillStyle = colour("ink");
  ctx.font = FONT(12, 560);
  ctx.textBaseline = "middle";
  ctx.textAlign = "left";
  if (!isNarrow(u.width)) ctx.fillText(`◂ unit ${view.example.parts[view.part].units[view.row]}`, bbox.left + bbox.width + 6 * dpr, (top + bottom) / 2);
  ctx.restore();
}

function readUnit(index) {
  const part = currentPart();
  const parts = [[`step ${Math.round(centre(view.explorer, view.example, part.columns[index]))}`, true]];
  parts.push([`   unit ${part.units[view.row]}: ${GATE_NAMES[view.field]} `, false], [fixed(part.at(view.field, index, view.row)), true]);
  const tau = tauOf(view.row);
  if (tau !== null) parts.push([`   τ = ${inSteps(tau)}`, false]);
  return parts;
}

function drawUnit(figure) {
  const { example, explorer } = view;
  const part = example.parts[view.part];
  const columns = part.columns.map((column) => centre(explorer, example, column));
  const names = part.fields.includes("c") ? ["c", "h"] : ["h"];
  const course = (from, field) => from.columns.map((_, column) => from.at(field, column, view.row));
  const lines = names.map((field, k) => ({ field, name: GATE_NAMES[field], ending: GATE_NAMES[field], values: course(part, field), colour: k ? "soft" : "accent", width: k ? 1.5 : 2.4, dash: k ? [5, 4] : undefined }));
  const changed = names.map((field, k) => ({ field, name: `${GATE_NAMES[field]}, changed`, values: columns.map(() => null), colour: "counter", width: k ? 1.5 : 2.2, dash: k ? [5, 4] : undefined }));
  view.charts.unit = drawChart(figure, {
    title: `Unit ${part.units[view.row]}`,
    label: `${names.map((field) => GATE_NAMES[field]).join(" and ")} of unit ${part.units[view.row]} over the steps.`,
    height: 190,
    right: 112,
    aligned: true,
    x: timeAxis(columns, "step"),
    y: { title: "state" },
    lines: [...lines, ...changed],
    readout: (index) => readCourse(index ?? columnOf(explorer, part, view.step), names),
    onHover: hoverAt(columns),
    onPick: (index) => pin(Math.round(columns[index])),
  });
  showChangedUnit();
}

function readCourse(index, names) {
  const part = currentPart();
  const parts = [];
  for (const field of names) parts.push([`${field} `, false], [`${fixed(part.at(field, index, view.row))}   `, true]);
  return parts;
}

/** Put the course of the unit after a change over the one before. */
function showChangedUnit() {
  const chart = view.charts.unit;
  if (!chart) return;
  const after = view.edited ? view.edited.parts[view.part] : null;
  const lines = chart.spec.lines.map((line, k) => {
    if (k < chart.spec.lines.length / 2) return line;
    return { ...line, values: line.values.map((_, column) => (after ? after.at(line.field, column, view.row) : null)) };
  });
  updateLines(chart, lines);
}

function chooseUnit(row) {
  view.row = row;
  redrawUnits();
}

function redrawUnits() {
  view.row = Math.min(view.row, view.example.parts[view.part].units.length - 1);
  const focused = document.activeElement?.closest?.("#x-heatmap") !== null && document.activeElement?.classList.contains("plot");
  drawHeatmap(find("x-heatmap"));
  drawUnit(find("x-unit"));
  if (focused) view.charts.heatmap.plot.focus();
  if (view.unitPicker) view.unitPicker.value = view.row;
  refresh();
}

// The side: cell and what-if -----------------------------------------------------------------------------------------

function drawSide() {
  const cards = [];
  view.diagram = null;
  if (DIAGRAMS[view.explorer.cell]) cards.push(cellCard());
  cards.push(whatIfCard());
  view.side.replaceChildren(...cards);
}

function cellCard() {
  const { example } = view;
  view.diagram = makeDiagram(view.explorer.cell);
  view.cellTitle = make("h3", {});
  view.cellText = make("p", {});
  const options = example.parts[view.part].units.map((unit, row) => make("option", { value: row }, unitName(unit, row)));
  view.unitPicker = make("select", { id: "unit", onchange: (event) => chooseUnit(Number(event.target.value)) }, ...options);
  view.unitPicker.value = view.row;
  const pick = make("div", { class: "unit-row" }, make("label", { class: "field" }, "Unit", view.unitPicker));
  return make("div", { class: "card", id: "cell" }, view.cellTitle, view.cellText, view.diagram.root, pick);
}

function unitName(unit, row) {
  const tau = tauOf(row);
  return tau === null ? `unit ${unit}` : `unit ${unit}, τ ${tell(tau, 2)}`;
}

function refreshCell(step) {
  const { explorer } = view;
  const part = currentPart();
  const column = columnOf(explorer, part, step);
  const before = column + (part.direction ? 1 : -1);
  const state = part.fields.includes("c") ? "c" : "h";
  const at = (field, k) => (k < 0 || k >= part.columns.length ? 0 : part.at(field, k, view.row));
  const values = Object.fromEntries(part.fields.map((field) => [field, at(field, column)]));
  const held = new Set(view.edits.clamps.filter((clamp) => holds(clamp, part, column)).map((clamp) => clamp.gate));
  showCell(view.diagram, { ...values, before: at(state, before), after: at(state, column), output: values.h }, held);
  put(view.cellTitle, `Inside unit ${part.units[view.row]}, step ${step}`);
  const where = explorer.stride > 1 ? ` The cell sees ${explorer.stride} steps of the data as one.` : "";
  put(view.cellText, `${part.direction ? "This direction reads from the end, so the state before is the one of the next step." : SENTENCES[explorer.cell]}${where}`);
}

const SENTENCES = {
  lstm: "The forget gate says how much of the cell state stays, the input gate how much of the cell input is added, the output gate how much is shown.",
  gru: "The update gate says how much of the state stays; the rest is the new state. The reset gate says how much of the past the new state sees.",
  rnn: "The whole state is made anew at every step; no gate protects it.",
};

const holds = (clamp, part, column) =>
  clamp.layer === part.layer && clamp.direction === part.direction && (clamp.unit === null || clamp.unit === part.units[view.row]) && column >= clamp.from && column <= clamp.to;
