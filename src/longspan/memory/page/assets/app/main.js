// Start: read what the page carries, draw the overview, then the explorer.

function start() {
  const report = JSON.parse(find("report").textContent);
  startTheme();
  showSubject(report);
  showSpans(report);
  showGradient(report);
  showAblation(report);
  showOcclusion(report);
  showConstants(report);
  showForgetting(report);
  showWindows(report);
  showInfluence(report);
  tidyPairs();
  showNotes(report);
  startExplorer(report.explorer);
  document.documentElement.dataset.ready = "true";
}

// The font lies in the page; canvases need it before they are drawn.
const weights = [400, 500, 560, 620].map((weight) => document.fonts.load(`${weight} 12px Inter`));
Promise.allSettled(weights).then(start);
