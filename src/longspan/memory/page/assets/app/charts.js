// Charts: uPlot with our axes, direct labels, rules, a cursor that keys can move, and a line of text that reads it out.

const GUTTER = 44;
const FONT = (size, weight = 400) => `${weight} ${size * devicePixelRatio}px Inter, system-ui, sans-serif`;
const isNarrow = (width) => width < 460;

/**
 * Draw a chart into a figure.
 *
 * spec: title, how (a sentence), label (for those who cannot see it), height,
 *   x: {values, title, log, range}, y: {title, log, range, whole},
 *   lines: [{name, values, colour, width, dash, low, high, bars, steps, ending}],
 *   rules: [{axis, at, text, colour}], readout(index) -> [[text, strong], ...], right (room for labels),
 *   aligned (with the other charts of a stack); under(u), over(u): drawn with the chart; onHover(index), onPick(index).
 */
function drawChart(figure, spec) {
  const plot = make("div", { class: "plot", tabindex: "0", role: "group", "aria-roledescription": "chart" });
  plot.setAttribute("aria-label", spec.label);
  const readout = make("p", { class: "readout", "aria-live": "off" });
  const header = make("header", {}, spec.title ? make("h3", {}, spec.title) : null, spec.readout ? readout : null);
  const how = spec.how ? make("p", { class: "how" }, spec.how) : null;
  figure.replaceChildren(...[header, plot, keyOf(spec), how].filter(Boolean));
  const chart = { figure, plot, readout, spec, index: null };
  const width = () => Math.max(220, Math.floor(plot.clientWidth));
  chart.u = new uPlot(options(chart, width()), dataOf(spec), plot);
  const fit = () => {
    figure.classList.toggle("narrow", isNarrow(width()));
    if (chart.u.width !== width()) chart.u.setSize({ width: width(), height: spec.height });
  };
  new ResizeObserver(fit).observe(plot);
  fit();
  let first = true;
  withTheme(() => {
    if (!first) chart.u.redraw(false, true);
    first = false;
  });
  listenToKeys(chart);
  tellReadout(chart, null);
  return chart;
}

function dataOf(spec) {
  const data = [spec.x.values];
  for (const line of spec.lines) {
    data.push(line.values);
    if (line.low) data.push(line.low, line.high);
  }
  return data;
}

/** Replace the lines of a chart that has as many as before. */
function updateLines(chart, lines) {
  chart.spec.lines.forEach((line, k) => Object.assign(line, lines[k]));
  chart.u.setData(dataOf(chart.spec));
}

function options(chart, width) {
  const { spec } = chart;
  const series = [{}];
  const bands = [];
  for (const line of spec.lines) {
    const at = series.length;
    series.push(seriesOf(line));
    if (!line.low) continue;
    const edge = { stroke: null, width: 0, points: { show: false } };
    series.push(edge, { ...edge });
    bands.push({ series: [at + 2, at + 1], fill: () => (line.colour === "accent" ? colour("accent-wash") : colour("grid")) });
  }
  return {
    width,
    height: spec.height,
    padding: [headroom(spec), () => (isNarrow(chart.plot.clientWidth) ? 10 : (spec.right ?? 14)), 0, 0],
    legend: { show: false },
    series,
    bands,
    scales: {
      x: { time: false, distr: spec.x.log ? 3 : 1, range: spec.x.range ? () => spec.x.range : spreadX(spec) },
      y: { distr: spec.y.log ? 3 : 1, range: typeof spec.y.range === "function" ? spec.y.range : spec.y.range ? () => spec.y.range : undefined },
    },
    axes: [axis(spec.x, "x", spec), axis(spec.y, "y", spec)],
    cursor: {
      y: false,
      drag: { x: false, y: false, setScale: false },
      points: { show: spec.points !== false, size: 7, width: 0, fill: (u, k) => colour(lineAt(spec, k)?.colour ?? "ink") },
      focus: { prox: -1 },
    },
    hooks: {
      drawClear: spec.under ? [(u) => spec.under(u)] : [],
      draw: [(u) => drawRules(u, spec), (u) => spec.over && spec.over(u), (u) => labelEnds(u, spec)],
      setCursor: [(u) => moved(chart, u)],
      ready: [(u) => listenToPointer(chart, u)],
    },
  };
}

const upright = (spec) => (spec.rules ?? []).filter((rule) => rule.axis === "x" && rule.at !== null && rule.at !== undefined);

/** Room above the plot for what is written on upright rules: a row each, two at most. */
const headroom = (spec) => 12 + 16 * Math.min(2, upright(spec).length);

/** The line that a series of the data belongs to. */
function lineAt(spec, k) {
  let at = 1;
  for (const line of spec.lines) {
    if (at === k) return line;
    at += line.low ? 3 : 1;
  }
  return null;
}

function seriesOf(line) {
  const series = {
    label: line.name,
    stroke: () => colour(line.colour),
    width: line.width ?? 1.5,
    dash: line.dash,
    points: { show: line.points ?? false, size: 6, width: 0, fill: () => colour(line.colour) },
    spanGaps: line.joined ?? false,
  };
  if (line.bars) {
    series.paths = uPlot.paths.bars({ size: [line.bars, 60], radius: 0.08 });
    series.fill = () => colour(line.colour);
    series.width = 0;
  }
  if (line.steps) series.paths = uPlot.paths.stepped({ align: line.steps });
  return series;
}

function spreadX(spec) {
  const values = spec.x.values;
  const [low, high] = [values[0], values[values.length - 1]];
  if (spec.x.log) return () => [low === high ? low / 2 : low, high === low ? high * 2 : high];
  return () => [low, low === high ? low + 1 : high];
}

function axis(part, side, spec) {
  return {
    stroke: () => colour("soft"),
    font: "12px Inter, system-ui, sans-serif",
    labelFont: "500 12px Inter, system-ui, sans-serif",
    label: part.title,
    labelSize: 22,
    labelGap: side === "x" ? 2 : 4,
    size: side === "x" ? 30 : spec.aligned ? GUTTER : (u, values) => widthOf(values),
    gap: 6,
    grid: { show: side === "y" && part.grid !== false, stroke: () => colour("grid"), width: 1 },
    ticks: { show: side === "x", stroke: () => colour("line"), size: 5, width: 1 },
    border: { show: side === "x", stroke: () => colour("line"), width: 1 },
    space: side === "x" ? 56 : 34,
    incrs: part.whole ? [1, 2, 5, 10, 20, 25, 50, 100, 200, 250, 500, 1000, 2000, 2500, 5000, 10000, 50000, 100000] : undefined,
    splits: part.splits ?? (part.log ? decades : undefined),
    filter: part.log ? (u, splits) => splits : undefined,
    values: part.names ? (u, splits) => splits.map(part.names) : (u, splits) => splits.map((value) => (value === null ? "" : part.log && value < 0.01 ? power(value) : tell(value))),
  };
}

/** Room for the longest of some labels. */
const widthOf = (values) => Math.max(GUTTER - 8, 14 + 7 * Math.max(0, ...(values ?? []).map((text) => text.length)));

/** Powers of ten on a log axis; where there are few, 2 and 5 times them too, where many, every so-manieth. */
function decades(u, at, low, high) {
  const first = Math.floor(Math.log10(low));
  const last = Math.ceil(Math.log10(high));
  const room = (at === 0 ? u.bbox.width : u.bbox.height) / devicePixelRatio || 300;
  const span = Math.log10(high / low) || 1;
  const parts = span < 2 && room / span > 120 ? [1, 2, 5] : [1];
  const every = Math.max(1, Math.ceil((30 * span) / room));
  const splits = [];
  for (let power = first; power <= last; power++) {
    if ((((power - last) % every) + every) % every) continue;
    for (const part of parts) {
      const value = part * 10 ** power;
      if (value >= low * 0.999 && value <= high * 1.001) splits.push(value);
    }
  }
  return splits;
}

// What is drawn on top -----------------------------------------------------------------------------------------------

function drawRules(u, spec) {
  const { ctx, bbox } = u;
  const dpr = devicePixelRatio;
  ctx.save();
  const taken = [];
  const rules = (spec.rules ?? []).filter((rule) => rule.at !== null && rule.at !== undefined);
  for (const rule of [...rules].sort((a, b) => a.at - b.at)) {
    const scale = u.scales[rule.axis];
    if (rule.at < scale.min || rule.at > scale.max) continue;
    const place = Math.round(u.valToPos(rule.at, rule.axis, true));
    ctx.strokeStyle = ctx.fillStyle = colour(rule.colour ?? "soft");
    ctx.lineWidth = 1.25 * dpr;
    ctx.setLineDash([4 * dpr, 4 * dpr]);
    ctx.beginPath();
    if (rule.axis === "x") {
      ctx.moveTo(place, bbox.top);
      ctx.lineTo(place, bbox.top + bbox.height);
    } else {
      ctx.moveTo(bbox.left, place);
      ctx.lineTo(bbox.left + bbox.width, place);
    }
    ctx.stroke();
    if (rule.text) labelRule(ctx, bbox, rule, place, taken);
  }
  ctx.restore();
}

function labelRule(ctx, bbox, rule, place, taken) {
  const dpr = devicePixelRatio;
  ctx.font = FONT(12, 500);
  ctx.textBaseline = "alphabetic";
  const wide = ctx.measureText(rule.text).width;
  if (rule.axis === "y") {
    ctx.textAlign = rule.side === "left" ? "left" : "right";
    halo(ctx, rule.text, rule.side === "left" ? bbox.left + 8 * dpr : bbox.left + bbox.width - 4 * dpr, place - 6 * dpr);
    return;
  }
  const flip = place + wide + 8 * dpr > Math.min(bbox.left + bbox.width + 100 * dpr, ctx.canvas.width);
  const left = flip ? place - wide - 6 * dpr : place + 6 * dpr;
  let row = 0;
  while (taken.some((other) => other.row === row && left < other.right && left + wide > other.left)) row++;
  taken.push({ row, left, right: left + wide });
  ctx.textAlign = "left";
  ctx.fillText(rule.text, left, bbox.top - (5 + 16 * row) * dpr);
  ctx.setLineDash([]);
  ctx.fillRect(place - 0.6 * dpr, bbox.top - (5 + 16 * row + 8) * dpr, 1.2 * dpr, (5 + 16 * row + 8) * dpr);
}

/** Text that stays readable where it crosses a line. */
function halo(ctx, text, x, y) {
  ctx.save();
  ctx.setLineDash([]);
  ctx.lineJoin = "round";
  ctx.lineWidth = 4 * devicePixelRatio;
  ctx.strokeStyle = colour("paper");
  ctx.strokeText(text, x, y);
  ctx.restore();
  ctx.fillText(text, x, y);
}

/** Names of the lines at their ends, moved apart where they would meet; where there is no room, a key has them. */
function labelEnds(u, spec) {
  if (isNarrow(u.width)) return;
  const dpr = devicePixelRatio;
  const { ctx, bbox } = u;
  const ends = [];
  for (const line of spec.lines) {
    if (!line.ending) continue;
    let last = line.values.length - 1;
    const inside = (k) => line.values[k] !== null && line.values[k] >= u.scales.y.min * (spec.y.log ? 0.999 : 1);
    while (last >= 0 && !inside(last)) last--;
    if (last < 0) continue;
    const x = u.valToPos(spec.x.values[last], "x", true);
    const y = u.valToPos(line.values[last], "y", true);
    ends.push({ line, x: x + 8 * dpr, y: Math.max(bbox.top, Math.min(bbox.top + bbox.height, y)) });
  }
  ends.sort((a, b) => a.y - b.y);
  spreadOut(ends, 16 * dpr, bbox.top + bbox.height);
  ctx.save();
  ctx.font = FONT(12, 500);
  ctx.textBaseline = "middle";
  ctx.textAlign = "left";
  for (const { line, x, y } of ends) {
    ctx.font = FONT(12, line.colour === "accent" ? 620 : 450);
    ctx.fillStyle = colour(line.label ?? line.colour);
    halo(ctx, line.ending, x, y);
  }
  ctx.restore();
}

/** Move labels apart: down from the first one, and up again from the lower edge. */
function spreadOut(ends, apart, lowest) {
  for (let k = 1; k < ends.length; k++) ends[k].y = Math.max(ends[k].y, ends[k - 1].y + apart);
  let limit = lowest;
  for (let k = ends.length - 1; k >= 0; k--) {
    ends[k].y = Math.min(ends[k].y, limit);
    limit = ends[k].y - apart;
  }
}

function keyOf(spec) {
  const named = spec.lines.filter((line) => line.ending);
  if (!named.length) return null;
  const swatch = (line) => {
    const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    svg.setAttribute("viewBox", "0 0 24 8");
    svg.setAttribute("aria-hidden", "true");
    const stroke = document.createElementNS("http://www.w3.org/2000/svg", "line");
    const attributes = { x1: 0, x2: 24, y1: 4, y2: 4, "stroke-width": line.width ?? 1.5, stroke: `var(--${line.colour})` };
    if (line.dash) attributes["stroke-dasharray"] = line.dash.join(" ");
    for (const [name, value] of Object.entries(attributes)) stroke.setAttribute(name, value);
    svg.append(stroke);
    return svg;
  };
  return make("ul", { class: "key" }, ...named.map((line) => make("li", {}, swatch(line), line.ending)));
}

// Cursor -------------------------------------------------------------------------------------------------------------

function moved(chart, u) {
  if (chart.silent) return;
  const index = u.cursor.left < 0 || u.cursor.idx === undefined ? null : u.cursor.idx;
  if (index === chart.index) return;
  chart.index = index;
  tellReadout(chart, index);
  if (chart.spec.onHover) chart.spec.onHover(index);
}

function tellReadout(chart, index) {
  if (!chart.spec.readout) return;
  const parts = chart.spec.readout(index) ?? [];
  chart.readout.replaceChildren(...parts.map(([text, strong]) => (strong ? make("b", {}, text) : text)));
}

/** Put the cursor at a place of the data, or take it away; `quietly` does not tell the listener. */
function pointAt(chart, index, quietly = false) {
  const { u } = chart;
  chart.silent = quietly;
  if (index === null) u.setCursor({ left: -10, top: -10 });
  else u.setCursor({ left: u.valToPos(chart.spec.x.values[index], "x"), top: u.over.clientHeight / 2 });
  chart.silent = false;
  if (quietly) {
    chart.index = index;
    tellReadout(chart, index);
  }
}

function listenToKeys(chart) {
  const { plot, spec } = chart;
  const last = spec.x.values.length - 1;
  plot.addEventListener("keydown", (event) => {
    const here = chart.index ?? -1;
    const jump = Math.max(1, Math.round(last / 10));
    const moves = { ArrowRight: here + 1, ArrowLeft: here - 1, PageUp: here + jump, PageDown: here - jump, Home: 0, End: last };
    if (event.key === "Escape") pointAt(chart, null);
    if (event.key === "Enter" && chart.spec.onPick && chart.index !== null) chart.spec.onPick(chart.index);
    if (!(event.key in moves)) return;
    event.preventDefault();
    chart.readout.setAttribute("aria-live", "polite");
    pointAt(chart, Math.max(0, Math.min(last, moves[event.key])));
  });
  plot.addEventListener("blur", () => pointAt(chart, null));
}

function listenToPointer(chart, u) {
  if (!chart.spec.onPick) return;
  u.over.style.cursor = "crosshair";
  u.over.addEventListener("click", (event) => {
    const box = u.over.getBoundingClientRect();
    const index = u.posToIdx(event.clientX - box.left);
    chart.spec.onPick(index, u.posToVal(event.clientY - box.top, "y"));
  });
}
