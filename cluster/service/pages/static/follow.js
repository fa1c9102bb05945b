// Form and text of a study follow each other: what is typed is sent, and what the server makes of it is put in place.
(() => {
  "use strict";
  const form = document.querySelector("form[data-follow]");
  const byId = (id) => document.getElementById(id);
  let edits = 0;
  let timer = 0;
  let busy = false;

  function soon() {
    edits += 1;
    clearTimeout(timer);
    timer = setTimeout(follow, 350);
  }

  async function follow(pressed) {
    if (busy) return;
    busy = true;
    const at = edits;
    const sent = new FormData(form);
    if (pressed) sent.append(pressed.name, pressed.value);
    try {
      const answer = await fetch(form.action, { method: "POST", body: new URLSearchParams(sent), headers: { Accept: "text/html" } });
      if (answer.redirected) {
        window.location.assign(answer.url);
        return;
      }
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      if (!page.getElementById("verdict")) say(page.querySelector(".answer, main p")?.textContent ?? answer.statusText);
      else if (at === edits) show(page, Boolean(pressed));
    } catch (error) {
      say(`the service does not answer (${error.message}): what is written here stays; it is sent with the next change`);
    } finally {
      busy = false;
      if (at !== edits) timer = setTimeout(follow, 100);
    }
  }

  function say(sentence) {
    const told = document.createElement("p");
    told.className = "problem";
    told.textContent = sentence;
    byId("verdict").replaceChildren(told);
  }

  function show(page, pressed) {
    const text = page.getElementById("text").value;
    if (byId("text").value !== text) byId("text").value = text;
    for (const id of ["verdict", "plan"]) {
      const made = page.getElementById(id);
      if (byId(id).innerHTML !== made.innerHTML) byId(id).replaceChildren(...made.childNodes);
    }
    const made = page.getElementById("form");
    byId("form").toggleAttribute("inert", Boolean(made.querySelector("[data-broken]")));
    if (!byId("form").inert) {
      byId("seen").value = page.getElementById("seen").value;
      swap(made, pressed);
    }
    if (pressed) byId("cost")?.focus();
  }

  // The fields anew: what was folded or unfolded stays so, and the caret is where it was, or in a table just added.
  function swap(made, pressed) {
    const focused = document.activeElement?.id;
    const caret = [document.activeElement?.selectionStart, document.activeElement?.selectionEnd];
    const open = new Map([...byId("form").querySelectorAll("details")].map((section) => [section.id, section.open]));
    const sections = [...made.querySelectorAll("details")];
    for (const section of sections) section.open = open.get(section.id) ?? section.open;
    byId("form").replaceChildren(...made.childNodes);
    const fresh = pressed ? sections.find((section) => !open.has(section.id)) : null;
    const target = fresh?.querySelector("input, select, textarea") ?? byId(focused);
    if (target && target !== document.activeElement) {
      target.focus();
      if (!fresh && caret[0] != null && target.setSelectionRange) target.setSelectionRange(...caret);
    }
  }

  form.addEventListener("input", (event) => {
    if (!event.isComposing && event.target.name !== "add") soon();
  });
  form.addEventListener("submit", (event) => {
    const pressed = event.submitter;
    if (pressed?.value === "run") return;
    event.preventDefault();
    clearTimeout(timer);
    follow(pressed);
  });
})();
