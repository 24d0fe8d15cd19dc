// Colours as the style sheet has them, for what is drawn on canvases, and the switch between light and dark.

const themed = [];
let palette = {};

function readPalette() {
  const style = getComputedStyle(document.documentElement);
  const names = ["paper", "raised", "ink", "soft", "faint", "line", "grid", "accent", "accent-wash", "counter", "mid"];
  palette = Object.fromEntries(names.map((name) => [name, style.getPropertyValue(`--${name}`).trim()]));
  for (const name of ["heat", "heat-deep", "heat-counter", "heat-paper"]) {
    palette[name] = style.getPropertyValue(`--${name}`).split(",").map(Number);
  }
}

const colour = (name) => palette[name] ?? name;

/** Call `draw` now and whenever the colours change. */
function withTheme(draw) {
  themed.push(draw);
  draw();
}

function repaint() {
  readPalette();
  for (const draw of themed) draw();
}

function startTheme() {
  const modes = ["auto", "light", "dark"];
  const words = { auto: "as the system has them", light: "light", dark: "dark" };
  const button = find("theme");
  let mode = "auto";
  button.addEventListener("click", () => {
    mode = modes[(modes.indexOf(mode) + 1) % modes.length];
    if (mode === "auto") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = mode;
    put(button, mode[0].toUpperCase() + mode.slice(1));
    button.setAttribute("aria-label", `Colours: ${words[mode]}`);
    repaint();
  });
  // Paper is light: canvases are drawn anew for it.
  let shown;
  addEventListener("beforeprint", () => {
    shown = document.documentElement.dataset.theme;
    document.documentElement.dataset.theme = "light";
    repaint();
  });
  addEventListener("afterprint", () => {
    if (shown) document.documentElement.dataset.theme = shown;
    else delete document.documentElement.dataset.theme;
    repaint();
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", repaint);
  readPalette();
}

/** Colours of a heatmap: paper to accent for 0 to 1; the counter colour for what is below zero. */
function heat(value) {
  const paper = palette["heat-paper"];
  const size = Math.min(1, Math.abs(value));
  const target = value < 0 ? palette["heat-counter"] : palette.heat;
  if (size <= 0.85) return blend(paper, target, (size / 0.85) ** 1.25);
  return blend(target, value < 0 ? target : palette["heat-deep"], (size - 0.85) / 0.15);
}

const blend = (from, to, share) => from.map((part, k) => part + (to[k] - part) * share);
