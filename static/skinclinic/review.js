/* What is typed into the opinion is kept on the server a moment after each change. */
(() => {
  const form = document.querySelector("[data-keeps-draft]");
  if (!form) return;
  const note = document.getElementById("draft-note");
  let timer = null;
  const keep = async () => {
    timer = null;
    try {
      const answer = await fetch(form.dataset.keepsDraft, {
        method: "POST",
        body: new FormData(form),
        headers: { "HX-Request": "true" },
        redirect: "manual",
      });
      if (answer.ok) {
        const told = new DOMParser().parseFromString(await answer.text(), "text/html").getElementById("draft-note");
        note.textContent = told ? told.textContent : "";
      } else if (answer.type === "opaqueredirect") {
        note.textContent = form.dataset.signedOut;
      } else {
        note.textContent = form.dataset.notKept;
      }
    } catch {
      note.textContent = form.dataset.offline;
    }
  };
  const later = () => {
    clearTimeout(timer);
    timer = setTimeout(keep, 800);
  };
  form.addEventListener("input", later);
  /* The browser asks at once for what the clinic would refuse to go without. */
  const chosen = (name) => form.elements[name] && form.elements[name].value;
  const demand = () => {
    const differs = Boolean(form.dataset.refer && chosen("suspicious")) && chosen("suspicious") !== form.dataset.refer;
    const needed = {
      follow_up_months: chosen("recommendation") === "follow_up",
      difference_reason: differs,
      words: chosen("diagnosis") === "other" || (differs && chosen("difference_reason") === "other"),
    };
    Object.entries(needed).forEach(([name, isNeeded]) => {
      if (form.elements[name]) form.elements[name].required = isNeeded;
    });
  };
  form.addEventListener("change", demand);
  demand();
  form.addEventListener("submit", () => clearTimeout(timer));
  window.addEventListener("pagehide", () => {
    if (timer) navigator.sendBeacon(form.dataset.keepsDraft, new FormData(form));
  });
})();
