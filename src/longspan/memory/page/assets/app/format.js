// Numbers and steps in words.

const SUPERSCRIPT = "⁰¹²³⁴⁵⁶⁷⁸⁹";

/** A number with three digits that count, and a true minus. */
function tell(value, digits = 3) {
  if (value === null || value === undefined || Number.isNaN(value)) return "–";
  if (!Number.isFinite(value)) return value > 0 ? "∞" : "−∞";
  if (value === 0) return "0";
  const size = Math.abs(value);
  let text;
  if (size >= 1e6 || size < 1e-4) text = power(size);
  else text = String(Number(size.toPrecision(digits)));
  return (value < 0 ? "−" : "") + text;
}

function power(size) {
  const [lead, exponent] = size.toExponential(1).split("e");
  const raised = [...exponent.replace("+", "")].map((sign) => (sign === "-" ? "⁻" : SUPERSCRIPT[Number(sign)])).join("");
  return lead === "1.0" ? `10${raised}` : `${lead}·10${raised}`;
}

/** A number with a fixed count of decimals, for values that change under the eye. */
function fixed(value, decimals = 3) {
  if (!Number.isFinite(value)) return tell(value);
  const text = Math.abs(value).toFixed(decimals);
  return (value < 0 && Number(text) !== 0 ? "−" : "") + text;
}

const grouped = (value) => Math.round(value).toLocaleString("en-GB");

/** A number of steps: two digits below ten, whole above. */
const short = (value) => (value < 10 && value % 1 ? tell(value, 2) : grouped(value));

function count(value, word) {
  const shown = short(value);
  return `${shown} ${word}${shown === "1" ? "" : "s"}`;
}

const inSteps = (value) => count(value, "step");

/** Text as a node's only content. */
function put(node, text) {
  node.textContent = text;
  return node;
}

/** An element with attributes and children; text is never read as markup. */
function make(name, attributes = {}, ...children) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
    else if (key === "style") Object.assign(node.style, value);
    else node.setAttribute(key, value === true ? "" : value);
  }
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

const find = (id) => document.getElementById(id);
