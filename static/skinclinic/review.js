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
        note.textContent = "You are signed out. Sign in in another window, then go on typing here: it is kept from then on.";
      } else {
        note.textContent = "What you type is not kept just now. Load the page in another window and look.";
      }
    } catch {
      note.textContent = "The connection is gone. What you typed is here, but not kept yet.";
    }
  };
  const later = () => {
    clearTimeout(timer);
    timer = setTimeout(keep, 800);
  };
  form.addEventListener("input", later);
  form.addEventListener("submit", () => clearTimeout(timer));
  window.addEventListener("pagehide", () => {
    if (timer) navigator.sendBeacon(form.dataset.keepsDraft, new FormData(form));
  });
})();
