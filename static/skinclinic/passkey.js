/* A form with [data-passkey] asks the browser for a passkey, and is sent with its answer. */
document.querySelectorAll("form[data-passkey]").forEach((form) => {
  const told = form.querySelector(".field-errors[role=alert]");
  let isAnswered = false;
  form.addEventListener("submit", async (event) => {
    if (isAnswered) return;
    event.preventDefault();
    told.hidden = true;
    const options = JSON.parse(form.dataset.options);
    try {
      form.elements.credential.value = JSON.stringify(await window.webauthnJSON[form.dataset.passkey](options));
      isAnswered = true;
      form.requestSubmit();
    } catch {
      told.textContent = form.dataset.failed;
      told.hidden = false;
    }
  });
});
