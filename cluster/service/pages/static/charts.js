// Draws each picture at the width that is there. Vega's expressions are interpreted, so that no text becomes code.
window.drawCharts = (() => {
  "use strict";
  const dark = window.matchMedia("(prefers-color-scheme: dark)");

  async function draw(box) {
    const spec = JSON.parse(box.dataset.spec);
    spec.width = "container";
    const narrow = box.clientWidth < 420;
    spec.config.axisY = { labelLimit: Math.min(190, 0.43 * box.clientWidth), labelFontSize: narrow ? 10 : 12 };
    if (narrow) spec.config.legend.columns = 1;
    const tooltip = { theme: dark.matches ? "dark" : "light", disableDefaultStyle: true };
    const options = { mode: "vega-lite", renderer: "svg", actions: false, ast: true, defaultStyle: false, tooltip };
    await window.vegaEmbed(box, spec, options);
    box.classList.add("is-live");
  }

  return () => {
    for (const box of document.querySelectorAll("[data-spec]:not(.is-live)")) {
      draw(box).catch((error) => console.error(error)); // the table says the same
    }
  };
})();
window.drawCharts();
