/* Letters that act: what has data-key is clicked, or gets the focus if it is a field or a form; j and k go from one
   [data-step] to the next; "?" names them all. They can be turned off, and are silent while somebody types.
   Not deferred: who reads fast presses the next key while the page arrives; it acts once the page is there. */
(() => {
  const OFF = "keys-off";
  const dialog = () => document.getElementById("keys");
  let early = null;
  const isOff = () => localStorage.getItem(OFF) === "1";
  const typing = (target) => target.closest("input, textarea, select, [contenteditable], .viewer-stage");
  const seen = (element) => element.checkVisibility?.() ?? true;
  const all = (selector) => [...document.querySelectorAll(selector)].filter(seen);

  const act = (element) => {
    const field = element.matches("input") ? element : element.querySelector("input:not([type=hidden]), select, textarea");
    if (element.matches("a, button")) element.click();
    else (element.matches("section") ? document.querySelector("#opinion-form input:not([type=hidden])") : field)?.focus();
  };

  const step = (by) => {
    const stops = all("[data-step]");
    if (!stops.length) return;
    const now = stops.findIndex((stop) => stop === document.activeElement || stop.getAttribute("aria-current") === "true");
    const next = stops[now < 0 ? (by > 0 ? 0 : stops.length - 1) : Math.min(stops.length - 1, Math.max(0, now + by))];
    next.focus();
    next.scrollIntoView({ block: "nearest" });
  };

  const show = () => {
    const list = dialog().querySelector("dl");
    const named = all("[data-key]").map((element) => [element.dataset.key, element.dataset.keyName]);
    if (all("[data-step]").length) named.push(["j  k", list.dataset.step]);
    named.push(["/", list.dataset.search], ["Ctrl Enter", list.dataset.save], ["?", list.dataset.keys]);
    list.replaceChildren(...named.flatMap(([key, name]) => {
      const term = document.createElement("dt");
      const shown = document.createElement("kbd");
      shown.textContent = key;
      term.append(shown);
      const told = document.createElement("dd");
      told.textContent = name;
      return [term, told];
    }));
    document.getElementById("keys-on").checked = !isOff();
    dialog().showModal();
  };

  const press = (key) => {
    if (key === "?") return show();
    if (isOff()) return null;
    if (key === "j" || key === "k") return step(key === "j" ? 1 : -1);
    const target = all(`[data-key="${CSS.escape(key)}"]`)[0];
    return target && act(target);
  };

  document.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
      event.target.closest("form")?.requestSubmit();
      return;
    }
    if (event.key === "Escape" && typing(event.target)) event.target.blur();
    if (event.ctrlKey || event.metaKey || event.altKey || event.repeat || typing(event.target) || document.querySelector("dialog[open]")) return;
    if (event.key === "/" || event.key.length > 1) return;
    if (document.readyState === "loading") { early = event.key; return; }
    if (event.key === "?" || all(`[data-key="${CSS.escape(event.key)}"]`).length) event.preventDefault();
    press(event.key);
  });

  document.addEventListener("DOMContentLoaded", () => {
    const box = document.getElementById("keys-on");
    box.addEventListener("change", () => localStorage.setItem(OFF, box.checked ? "0" : "1"));
    document.getElementById("keys-open")?.addEventListener("click", show);
    sendHeld();
    if (early) press(early);
  });

  /* A signature that can still be undone: when its seconds are over, this page sends it. */
  const sendHeld = () => document.querySelectorAll("[data-held]").forEach((element) => {
    const ends = Date.now() + 1000 * Number(element.dataset.left);
    const count = element.querySelector("[data-count]");
    const values = Object.fromEntries(new FormData(element.querySelector("form")));
    const tick = () => {
      const left = Math.ceil((ends - Date.now()) / 1000);
      if (left > 0) { count.textContent = left; return; }
      clearInterval(timer);
      window.htmx.ajax("POST", element.dataset.held, { target: `#${element.id}`, swap: "outerHTML", values });
    };
    const timer = setInterval(tick, 250);
    tick();
  });
})();
