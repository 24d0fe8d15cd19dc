// uPlot asks for number formats of the browser's language; without a locale some browsers name one that is none.
try {
  new Intl.NumberFormat(navigator.language);
} catch {
  Object.defineProperty(navigator, "language", { value: "en", configurable: true });
}
