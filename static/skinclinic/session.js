/* A form that somebody filled in leaves the page only while she is signed in; else it stays, and a dialog says what to
   do. She signs in in another window, since this one would lose what she typed: it is kept nowhere else. */
(() => {
  const dialog = document.getElementById("signed-out");
  if (!dialog) return;
  const FILLED_IN = "input:not([type=hidden]), select, textarea";
  const mayBeLost = (form) => form.method === "post" && (form.matches("[data-kept]") || form.querySelector(FILLED_IN));
  const checked = new WeakSet();
  let held = null;

  /* Who is signed in now, in which clinic, and the token that a new sign-in has changed. */
  const ask = async () => {
    const answer = await fetch(dialog.dataset.session, { cache: "no-store", headers: { Accept: "application/json" } });
    if (!answer.ok) throw new Error(answer.status);
    return answer.json();
  };

  const hindrance = async (form) => {
    let now;
    try {
      now = await ask();
    } catch {
      return "away";
    }
    if (!now.person) return "out";
    const { person, clinic, csrfmiddlewaretoken: token } = form.elements;
    if ((person && person.value !== now.person) || (clinic && clinic.value !== now.clinic)) return "another";
    if (token) token.value = now.token;
    return "";
  };

  const send = async (form, submitter) => {
    const why = await hindrance(form);
    if (!why) {
      dialog.close();
      checked.add(form);
      form.requestSubmit(submitter);
      return;
    }
    held = { form, submitter };
    dialog.querySelectorAll("[data-why]").forEach((said) => { said.hidden = said.dataset.why !== why; });
    dialog.querySelector("[data-sign-in]").hidden = why === "away";
    if (!dialog.open) dialog.showModal();
  };

  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (event.defaultPrevented || !mayBeLost(form) || checked.delete(form)) return;
    event.preventDefault();
    send(form, event.submitter);
  });
  dialog.querySelector("[data-send]").addEventListener("click", () => send(held.form, held.submitter));
})();
