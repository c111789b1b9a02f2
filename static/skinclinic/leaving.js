/* Says two minutes before that she will be signed out, and lets her stay. Another window may have been used meanwhile,
   so the clinic is asked first; that question is no activity. At the end the page is left, since others may pass the
   screen; one with a form that she has begun is covered instead, until she has signed in again in another window. */
(() => {
  const dialog = document.getElementById("leaving");
  if (!dialog) return;
  const { address, stay: stayAddress, warned } = dialog.dataset;
  const count = dialog.querySelector("[data-count]");
  const form = dialog.querySelector("form[data-stay]");
  let ends = Date.now() + 1000 * Number(dialog.dataset.left);
  let timer = null;

  const left = () => Math.ceil((ends - Date.now()) / 1000);
  const isChanged = (field) => {
    if (field.type === "hidden" || field.disabled) return false;
    if (field.options) return field.selectedIndex !== Math.max(0, [...field.options].findIndex((one) => one.defaultSelected));
    if (field.type === "checkbox" || field.type === "radio") return field.checked !== field.defaultChecked;
    return "defaultValue" in field && field.value !== field.defaultValue;
  };
  const isBegun = () => [...document.forms].some((one) => one.method === "post" && [...one.elements].some(isChanged));
  const isCovered = () => "covered" in document.body.dataset;

  const leave = () => {
    if (!isBegun()) { window.location.assign(window.location.href.split("#")[0]); return; }
    document.body.dataset.covered = "";
    dialog.querySelector("[data-warning]").hidden = true;
    dialog.querySelector("[data-ended]").hidden = false;
    if (!dialog.open) dialog.showModal();
  };

  /* She is back, as herself and in her clinic: what stands here is hers to see, and to send with the new session's token. */
  const uncover = async () => {
    const answer = await fetch(dialog.dataset.session, { cache: "no-store", headers: { Accept: "application/json" } });
    const now = answer.ok ? await answer.json() : {};
    const isHerself = now.person === dialog.dataset.person && now.clinic === dialog.dataset.clinic;
    dialog.querySelector("[data-not-yet]").hidden = isHerself;
    if (!isHerself) return;
    document.querySelectorAll("[name=csrfmiddlewaretoken]").forEach((field) => { field.value = now.token; });
    delete document.body.dataset.covered;
    dialog.querySelector("[data-warning]").hidden = false;
    dialog.querySelector("[data-ended]").hidden = true;
    dialog.close();
    await ask();
    look();
  };
  const later = (seconds) => {
    clearTimeout(timer);
    timer = setTimeout(look, 1000 * Math.max(1, Math.min(seconds, 86_400)));
  };

  const told = async (request) => {
    try {
      const answer = await fetch(...request);
      if (answer.ok) ends = Date.now() + 1000 * (await answer.json()).seconds;
    } catch {
      /* The line is broken: what was known still holds. */
    }
  };

  const ask = () => told([address, { headers: { Accept: "application/json", "X-Polled": "1" } }]);

  const tick = async () => {
    if (!dialog.open || isCovered()) return;
    /* Left too early, the page would be loaded once more by who is still signed in. */
    if (left() <= 0) await ask();
    if (left() <= 0) { leave(); return; }
    count.textContent = left();
    clearTimeout(timer);
    timer = setTimeout(tick, 500);
  };

  const look = async () => {
    if (isCovered()) return;
    if (left() > Number(warned)) { later(left() - Number(warned)); return; }
    await ask();
    if (left() > Number(warned)) {
      if (dialog.open) dialog.close();
      later(left() - Number(warned));
    } else if (left() <= 0) {
      leave();
    } else {
      if (!dialog.open) dialog.showModal();
      tick();
    }
  };

  /* What the page asks for by itself, such as the bell, finds the session over first, and would load the page anew. */
  document.body.addEventListener("htmx:beforeOnLoad", (event) => {
    if (event.detail.xhr.getResponseHeader("HX-Refresh") !== "true" || !isBegun()) return;
    event.preventDefault();
    leave();
  });
  document.body.addEventListener("htmx:beforeRequest", (event) => { if (isCovered()) event.preventDefault(); });
  dialog.addEventListener("cancel", (event) => { if (isCovered()) event.preventDefault(); });
  dialog.querySelector("[data-uncover]").addEventListener("click", () => { uncover().catch(() => {}); });
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    await told([stayAddress, { method: "POST", body: new FormData(form), headers: { Accept: "application/json" } }]);
    if (left() > Number(warned)) {
      dialog.close();
      later(left() - Number(warned));
    } else {
      /* Not for doing nothing, but for the length of the day: it cannot be put off. */
      dialog.querySelector("[data-idle]").hidden = true;
      dialog.querySelector("[data-whole]").hidden = false;
      form.hidden = true;
      dialog.querySelector("[data-finish]").hidden = false;
    }
  });
  /* What is finished meanwhile goes on behind it; the end comes all the same. */
  dialog.addEventListener("close", () => { if (left() <= Number(warned)) later(left()); });
  document.addEventListener("visibilitychange", () => { if (!document.hidden) look(); });
  look();
})();
