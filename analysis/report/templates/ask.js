// The mean at settings and over ranges that a reader chooses: what `predict` of vcm_sweep.analysis computes.
(() => {
  "use strict";
  const box = document.getElementById("asking");
  const of = JSON.parse(document.getElementById("response").textContent);
  const count = of.factors.length, folds = of.coefficients.length, points = of.residual.length;
  const bytes = Uint8Array.from(atob(of.u), (letter) => letter.charCodeAt(0));
  const u = new Uint16Array(bytes.buffer);

  // 1 and the Legendre polynomials that are orthonormal on [0, 1].
  function polynomials(at) {
    const x = 2 * at - 1, found = [1, x];
    for (let n = 1; n < of.degree; n++) found.push(((2 * n + 1) * x * found[n] - n * found[n - 1]) / (n + 1));
    return found.map((value, n) => value * Math.sqrt(2 * n + 1));
  }

  function averaged(low, high) {
    if (low === high) return polynomials(low);
    const mean = new Array(of.degree + 1).fill(0);
    of.nodes.forEach((node, i) =>
      polynomials(low + node * (high - low)).forEach((value, q) => { mean[q] += of.weights[i] * value; }));
    return mean;
  }

  // What each fold's surrogate says.
  function surrogates(ranges) {
    const features = ranges.map(([low, high]) => averaged(low, high)), values = new Array(folds).fill(0);
    of.terms.forEach((term, t) => {
      let product = 1;
      for (let i = 0; i < term.length; i += 2) product *= features[term[i]][term[i + 1]];
      for (let k = 0; k < folds; k++) values[k] += of.coefficients[k][t] * product;
    });
    return values;
  }

  const sum = (numbers) => numbers.reduce((a, b) => a + b, 0);
  const spread = (influence) =>
    Math.sqrt(sum(influence.map((v) => v * v)) * influence.length / (influence.length - 1));

  // By the points that lie there, or null where they are too few.
  function measured(ranges, values) {
    if (ranges.some(([low, high]) => low === high)) return null;
    const blocks = points / of.block, held = new Array(blocks).fill(0), rest = new Array(blocks).fill(0);
    const share = new Array(folds).fill(0);
    let twice = 0;
    for (let i = 0; i < points; i++) {
      let inside = true;
      for (let j = 0; j < count && inside; j++) {
        const at = u[i * count + j] / 65535;
        inside = at >= ranges[j][0] && at <= ranges[j][1];
      }
      if (!inside) continue;
      const b = Math.floor(i / of.block);
      held[b] += 1;
      rest[b] += of.residual[i];
      share[Number(of.fold[i])] += 1;
      twice += Number(of.twice[i]);
    }
    const all = sum(held), kish = all * all / sum(held.map((v) => v * v));
    if (!(all >= of.least.points && kish >= of.least.blocks && twice >= of.least.twice)) return null;
    const mean = sum(rest) / all;
    const influence = held.map((v, b) => (rest[b] - mean * v) / all);
    return { value: of.origin + mean + sum(share.map((v, k) => v / all * values[k])), influence, scatter: 0, points: all };
  }

  function predicted(ranges) {
    const values = surrogates(ranges);
    const found = measured(ranges, values);
    if (found) return found;
    const mean = sum(values) / folds;
    const apart = (folds - 1) / folds * sum(values.map((v) => (v - mean) ** 2));
    const influence = new Array(points / of.block).fill(0);
    return { value: of.origin + mean, influence, scatter: Math.hypot(of.missed, Math.sqrt(apart)), points: 0 };
  }

  const whole = of.factors.map(() => [0, 1]);
  const base = predicted(whole);

  function predict(ranges) {
    const there = predicted(ranges);
    const half = of.quantile * Math.hypot(spread(there.influence), there.scatter);
    const moved = there.influence.map((v, b) => v - base.influence[b]);
    const gain = of.quantile * Math.hypot(spread(moved), there.scatter, base.scatter);
    return { value: there.value, half, gain: there.value - base.value, gainHalf: gain, points: there.points };
  }

  // Everything above computes, everything below shows.
  const scale = of.share ? 100 : 1;
  // As many decimals as the interval carries.
  const digits = (half) => of.share ? (half >= 0.1 ? 0 : half >= 0.001 || !half ? 1 : 2)
    : Math.max(0, Math.min(12, 1 - Math.floor(Math.log10(Math.max(half, 1e-12)))));
  function interval(value, half) {
    const [at, low, high] = [value, value - half, value + half].map((v) => (scale * v).toFixed(digits(half)));
    return [at, `[${low}, ${high}]`];
  }

  // Of a list the place of the value at a place on a slider; where two meet, the lower one as the end of a range.
  const valueAt = (edges, at, end) => edges.slice(1, -1).filter((edge) => end ? edge < at - 1e-9 : edge <= at + 1e-9).length;

  const rows = [...box.querySelectorAll("[data-factor]")].map((row) => ({
    low: row.querySelector("[data-end=low]"), high: row.querySelector("[data-end=high]"), words: row.querySelector("output"),
  }));

  // From where to where each factor goes, in words too. Sliders move by a hundredth of the probability; of a list whole
  // values are in.
  function chosen() {
    return rows.map(({ low, high }, j) => {
      const { edges, values } = of.factors[j], from = low.valueAsNumber / 100, to = high.valueAsNumber / 100;
      if (!edges) {
        const [first, last] = [from, to].map((at) => String(Number(values[Math.round(100 * at)].toPrecision(3))));
        return { range: [from, to], first, last, one: from === to };
      }
      // The ends of a slider are those of the list, however seldom its last values are.
      const first = from > 0 ? valueAt(edges, from, false) : 0;
      const last = to < 1 ? Math.max(first, valueAt(edges, to, true)) : values.length - 1;
      return { range: [edges[first], edges[last + 1]], first: values[first], last: values[last], one: first === last };
    });
  }

  function show() {
    const now = chosen(), found = predict(now.map(({ range }) => range));
    const [value, ends] = interval(found.value, found.half);
    const unit = of.share ? "\u00a0%" : "";
    rows.forEach(({ low, high, words }, j) => {
      const { unit } = of.factors[j], { first, last, one } = now[j];
      const tail = ["", "1", "relative"].includes(unit) ? "" : ` ${unit}`;
      words.textContent = (one ? `at ${first}` : `${first} to ${last}`) + tail;
      low.setAttribute("aria-valuetext", first + tail);
      high.setAttribute("aria-valuetext", last + tail);
    });
    box.querySelector("[data-value]").textContent = `${value}${unit} ${ends}`;
    const [gain, around] = interval(found.gain, found.gainHalf);
    const moved = now.some(({ range: [low, high] }) => low > 0 || high < 1);
    box.querySelector("[data-gain]").textContent = moved
      ? `${gain}${of.share ? " points" : ""} ${around} against the whole ranges` : "over the whole ranges";
    box.querySelector("[data-why]").textContent = found.points
      ? `${found.points} of ${points} trained points lie there and show what the model misses.`
      : "No trained points lie there, or too few: the interval holds what the model leaves unexplained over the box, " +
        "in 95 of 100 settings drawn from it, not in each.";
  }

  rows.forEach(({ low, high }) => {
    low.addEventListener("input", () => { if (low.valueAsNumber > high.valueAsNumber) high.value = low.value; show(); });
    high.addEventListener("input", () => { if (high.valueAsNumber < low.valueAsNumber) low.value = high.value; show(); });
  });
  function set(from, to) {
    rows.forEach(({ low, high }, j) => {
      // Choices have no low end.
      low.value = of.factors[j].ordered ? from : 0;
      high.value = of.factors[j].ordered ? to : 100;
    });
    show();
  }
  box.querySelector("[data-set=whole]").addEventListener("click", () => set(0, 100));
  box.querySelector("[data-set=low]").addEventListener("click", () => set(0, 0));
  box.querySelector("[data-set=half]").addEventListener("click", () => set(0, 50));
  box.hidden = false;
  window.vcmSweepPredict = predict;
  show();
})();
