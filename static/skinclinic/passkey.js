/* A form with [data-passkey] asks the browser for a passkey, and is sent with its answer. */
document.querySelectorAll("form[data-passkey]").forEach((form) => {
  const told = form.querySelector(".field-errors[role=alert]");
  const answer = form.elements.credential;
  form.addEventListener("submit", async (event) => {
    if (answer.value) return;
    event.preventDefault();
    told.hidden = true;
    const options = JSON.parse(form.dataset.options);
    try {
      const given = await window.webauthnJSON[form.dataset.passkey](options);
      answer.value = JSON.stringify(given);
      form.requestSubmit();
    } catch {
      told.textContent = form.dataset.failed;
      told.hidden = false;
    }
  });
});
