// The diagram of a cell, with the values of one unit at one step.

const SVG = "http://www.w3.org/2000/svg";
const WELL = { top: 152, height: 62, width: 30 };

function svg(name, attributes = {}, text) {
  const node = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  if (text !== undefined) node.textContent = text;
  return node;
}

/** What is drawn for each kind of cell: wells (gates), wires, operations. */
const DIAGRAMS = {
  lstm: {
    wells: { f: [64, "forget"], i: [130, "input"], g: [190, "cell input"], o: [254, "output"] },
    wires: {
      keep: "M16 48 H322",
      f: "M64 152 V59",
      i: "M130 152 V112 H149",
      g: "M190 152 V112 H171",
      add: "M160 101 V59",
      out: "M254 48 V105",
      o: "M254 152 V127",
      h: "M265 116 H322",
    },
    operations: [[64, 48, "×"], [160, 48, "+"], [160, 112, "×"], [254, 116, "×"], [254, 82, "tanh"]],
    before: "c", after: "c", output: ["h", 80],
  },
  gru: {
    wells: { z: [84, "update"], r: [156, "reset"], n: [236, "new state"] },
    wires: { keep: "M16 48 H322", z: "M84 152 V59", n: "M236 152 V123", add: "M236 101 V59", zn: "M84 112 H225", r: "M171 184 H221" },
    operations: [[84, 48, "×"], [236, 48, "+"], [236, 112, "×"], [160, 112, "1−"]],
    before: "h", after: "h", output: null,
  },
  rnn: {
    wells: { h: [170, "hidden state"] },
    wires: { keep: "M16 48 H322", h: "M170 152 V61" },
    operations: [[170, 48, "tanh"]],
    before: "h", after: "h", output: null,
  },
};

function makeDiagram(kind) {
  const plan = DIAGRAMS[kind];
  const root = svg("svg", { viewBox: "0 0 340 254", class: "cell-svg", role: "img" });
  const nodes = { wires: {}, wells: {} };
  for (const [name, path] of Object.entries(plan.wires)) {
    nodes.wires[name] = svg("path", { d: path, class: name === "keep" ? "main" : "wire" });
    root.append(nodes.wires[name]);
  }
  root.append(svg("path", { d: "M317 43 L324 48 L317 53", class: "main", "stroke-width": 2 }));
  for (const [x, y, sign] of plan.operations) {
    const wide = sign.length > 1;
    root.append(wide ? svg("rect", { x: x - 18, y: y - 11, width: 36, height: 22, rx: 11, class: "op" }) : svg("circle", { cx: x, cy: y, r: 11, class: "op" }));
    root.append(svg("text", { x, y: y + 4.5, "text-anchor": "middle" }, sign));
  }
  for (const [gate, [x, name]] of Object.entries(plan.wells)) nodes.wells[gate] = makeWell(root, x, name, SIGNED.has(gate));
  nodes.before = svg("text", { x: 14, y: 26 });
  nodes.after = svg("text", { x: 326, y: 26, "text-anchor": "end" });
  root.append(nodes.before, nodes.after);
  if (plan.output) {
    nodes.output = svg("text", { x: 326, y: plan.output[1] + 28, "text-anchor": "end" });
    root.append(nodes.output);
  }
  return { root, nodes, plan };
}

function makeWell(root, x, name, signed) {
  const { top, height, width } = WELL;
  const clip = svg("rect", { x: x - width / 2, y: top, width, height, rx: 6, class: "well" });
  const fill = svg("rect", { x: x - width / 2 + 1, y: top, width: width - 2, height: 0, rx: 5, class: "fill" });
  root.append(clip, fill);
  if (signed) root.append(svg("line", { x1: x - width / 2, x2: x + width / 2, y1: top + height / 2, y2: top + height / 2, class: "wire", "stroke-width": 1 }));
  const value = svg("text", { x, y: top + height + 18, "text-anchor": "middle", class: "number" });
  const label = svg("text", { x, y: top + height + 35, "text-anchor": "middle", class: "soft" }, name);
  root.append(value, label);
  return { fill, value, label, signed };
}

/** Show values {gate: number, before, after, output} of a unit; `held` are the gates that a clamp holds. */
function showCell(diagram, values, held) {
  const { nodes, plan, root } = diagram;
  for (const [gate, well] of Object.entries(nodes.wells)) fillWell(well, values[gate], held.has(gate));
  for (const [name, wire] of Object.entries(nodes.wires)) {
    const value = name === "keep" ? 1 : Math.abs(values[name] ?? 0.35);
    wire.setAttribute("stroke-width", name === "keep" ? 3.2 : 0.9 + 3 * Math.min(1, value));
  }
  const say = (node, name, value) => node.replaceChildren(svg("tspan", { class: "soft" }, `${name} `), svg("tspan", { class: "number" }, fixed(value)));
  say(nodes.before, plan.before === "c" ? "cell state before, c′" : "state before, h′", values.before);
  say(nodes.after, plan.after === "c" ? "c" : "h", values.after);
  if (nodes.output) say(nodes.output, "h", values.output);
  const told = Object.entries(nodes.wells).map(([gate]) => `${GATE_NAMES[gate]} ${fixed(values[gate])}`);
  root.setAttribute("aria-label", `${told.join(", ")}. State before ${fixed(values.before)}, after ${fixed(values.after)}.`);
}

function fillWell(well, value, held) {
  const { top, height } = WELL;
  const size = Math.min(1, Math.abs(value)) * (well.signed ? height / 2 : height);
  const middle = top + height / 2;
  well.fill.setAttribute("height", Math.max(0, size));
  well.fill.setAttribute("y", well.signed ? (value >= 0 ? middle - size : middle) : top + height - size);
  well.fill.classList.toggle("negative", value < 0);
  well.value.textContent = held ? `held ${fixed(value, 2)}` : fixed(value);
  well.value.classList.toggle("held", held);
}
