// Each picture stands as plain SVG; near the screen it is drawn again at the width that is there, and can be hovered.
(() => {
  "use strict";
  const specs = JSON.parse(document.getElementById("specs").textContent);
  const boxes = [...document.querySelectorAll("[data-chart]")];
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  const waiting = [];
  let busy = false;

  async function enliven(box) {
    const spec = specs[box.dataset.chart];
    spec.width = "container";
    // Names of factors may take two fifths of a narrow picture, in letters small enough not to be cut short.
    const narrow = box.clientWidth < 420;
    spec.config.axisY = { labelLimit: Math.min(190, 0.4 * box.clientWidth) };
    if (narrow) {
      spec.config.axisY = { labelLimit: 0.43 * box.clientWidth, labelFontSize: 10 };
      spec.config.legend.columns = 1;
    }
    const theme = dark.matches ? "dark" : "light";
    const options = { mode: "vega-lite", renderer: "svg", actions: false, tooltip: { theme } };
    await window.vegaEmbed(box.querySelector(".live"), spec, options);
    box.classList.add("is-live");
  }

  // One at a time, so that scrolling stays smooth.
  async function next() {
    if (busy) return;
    busy = true;
    while (waiting.length) {
      const box = waiting.shift();
      try {
        await enliven(box);
      } catch (error) {
        console.error(box.dataset.chart, error); // the plain picture stays
      }
      await new Promise((resume) => setTimeout(resume));
    }
    busy = false;
    performance.mark("interactive");
  }

  const watch = new IntersectionObserver((entries) => {
    for (const entry of entries) {
      if (!entry.isIntersecting) continue;
      watch.unobserve(entry.target);
      waiting.push(entry.target);
    }
    next();
  }, { rootMargin: "300px" });
  boxes.forEach((box) => watch.observe(box));
})();
