// The page of a study follows its run: numbers come with each event, what is analysed is asked for from time to time.
(() => {
  "use strict";
  const live = document.getElementById("live");
  const events = new EventSource(live.dataset.live);
  const RENEW_MS = 20000;
  const COMING_MS = 3000;
  let renewed = Date.now();
  let asking = 0;
  let shown = live.querySelector("[data-of=state]").textContent;

  const whole = (value) => (value == null ? "-" : Math.round(value).toLocaleString("en"));
  const WRITTEN = {
    done: whole,
    planned: whole,
    failed: whole,
    rate_per_h: whole,
    best: (value) => (value == null ? "-" : `${(100 * value).toFixed(1)} %`),
    eta_s: duration,
    host: (value) => value || "-",
    doing: (value) => value,
    reason: (value) => value,
    state: (value) => value,
  };

  function duration(seconds) {
    if (seconds == null) return "-";
    if (seconds < 60) return `${Math.round(seconds)} s`;
    const minutes = Math.round(seconds / 60);
    if (minutes < 60) return `${minutes} min`;
    return minutes < 1440 ? `${Math.floor(minutes / 60)} h ${minutes % 60} min` : `${Math.floor(minutes / 1440)} d`;
  }

  function write(name, text) {
    const place = live.querySelector(`[data-of="${name}"]`);
    if (place.textContent !== text) place.textContent = text;
  }

  function list(name, lines) {
    const made = lines.map((line) => Object.assign(document.createElement("li"), { textContent: line }));
    live.querySelector(`[data-of="${name}"]`).replaceChildren(...made);
  }

  events.addEventListener("state", (event) => {
    const { card, figures } = JSON.parse(event.data);
    for (const [name, written] of Object.entries(WRITTEN)) write(name, written(card[name]));
    live.querySelector("[data-of=state]").dataset.state = card.state;
    const bar = live.querySelector("progress");
    bar.max = card.planned || 1;
    bar.value = card.done || 0;
    list("failures", Object.entries(figures?.failures ?? {}).map(([cause, number]) => `${whole(number)} failed: ${cause}`));
    list("nodes", Object.entries(figures?.nodes ?? {}).map(
      ([node, use]) => `${node}: ${use.packs} packs under way, ${whole(use.trials)} trainings finished`,
    ));
    const changed = card.state !== shown;
    shown = card.state;
    if (changed || Date.now() - renewed > RENEW_MS) renew();
  });
  events.addEventListener("unread", (event) => write("reason", JSON.parse(event.data).detail));
  for (const name of ["gone", "expired"]) {
    events.addEventListener(name, () => {
      events.close();
      write("reason", name === "gone" ? "This study is gone: its folder was moved or deleted." : "The session is over: log in again.");
    });
  }

  // Ranking, curves, log, and what can be done next; what somebody is just using stays as it is.
  async function renew() {
    renewed = Date.now();
    const answer = await fetch(window.location.href, { headers: { Accept: "text/html" } });
    if (!answer.ok || answer.redirected) return;
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    for (const id of ["answer", "doing", "ranking", "curves", "log", "files"]) {
      const place = document.getElementById(id);
      if (!place.contains(document.activeElement)) place.replaceChildren(...page.getElementById(id).childNodes);
    }
    window.drawCharts();
    askAgain();
  }

  // What is still being made is asked for until it is there; one such question waits at a time, whoever renews.
  function askAgain() {
    clearTimeout(asking);
    if (document.querySelector("[data-coming]")) asking = setTimeout(renew, COMING_MS);
  }
  askAgain();
})();
