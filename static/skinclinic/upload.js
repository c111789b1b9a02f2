/* Each photograph on its own: one that fails can be sent again, and what was stored stays stored. */
(() => {
  const form = document.querySelector("[data-upload]");
  if (!form) return;
  const zone = form.querySelector(".dropzone");
  const picker = form.querySelector('input[type="file"]');
  const list = form.querySelector(".uploads");
  const lesion = form.querySelector('select[name="lesion"]');

  const refresh = () => {
    const live = document.getElementById("screenings");
    if (live && window.htmx) window.htmx.ajax("GET", live.dataset.live, { target: "#screenings", swap: "outerHTML" });
  };

  const element = (tag, className, text = "") => {
    const made = document.createElement(tag);
    made.className = className;
    made.textContent = text;
    return made;
  };

  const row = (file) => {
    const item = element("li", "");
    const progress = document.createElement("progress");
    progress.max = 100;
    progress.value = 0;
    progress.setAttribute("aria-label", `Upload of ${file.name}`);
    const again = element("button", "btn btn-sm btn-outline-primary", "Send again");
    again.type = "button";
    again.hidden = true;
    const said = element("span", "said");
    item.append(element("span", "name", file.name), progress, again, said);
    list.append(item);
    return { item, progress, again, said };
  };

  const outcome = (request) => {
    try {
      return JSON.parse(request.responseText).photographs[0];
    } catch {
      return null;
    }
  };

  const send = (file, shown, to, findings) => new Promise((done) => {
    const body = new FormData();
    body.append("csrfmiddlewaretoken", form.elements.csrfmiddlewaretoken.value);
    body.append("clinic", form.elements.clinic.value);
    body.append("lesion", to);
    findings.forEach((finding) => body.append("findings", finding));
    body.append("photographs", file);
    const request = new XMLHttpRequest();
    request.open("POST", form.action);
    request.setRequestHeader("Accept", "application/json");
    shown.again.hidden = true;
    shown.item.className = "";
    shown.said.textContent = "Sending…";
    const fail = (sentence, retry) => {
      shown.item.className = "refused";
      shown.said.textContent = sentence;
      shown.again.hidden = !retry;
      done();
    };
    request.upload.addEventListener("progress", (event) => {
      if (event.lengthComputable) shown.progress.value = (100 * event.loaded) / event.total;
    });
    request.upload.addEventListener("load", () => { shown.said.textContent = "Sent; being checked…"; });
    request.addEventListener("error", () => fail("The connection broke off. This photograph is not stored yet.", true));
    request.addEventListener("load", () => {
      const told = outcome(request);
      if (request.status === 201 && told) {
        shown.progress.value = 100;
        shown.said.textContent = told.duplicate ? "Stored. This patient has the same photograph already." : "Stored; it waits to be read.";
        done();
        refresh();
      } else if (told && told.refused) {
        fail(told.refused, false);
      } else {
        fail("The clinic did not take it just now. This photograph is not stored yet.", true);
      }
    });
    shown.again.onclick = () => send(file, shown, to, findings);
    request.send(body);
  });

  /* Two at a time: a slow line is not split further, and the clinic is not flooded. */
  const boxes = [...form.querySelectorAll('input[name="findings"]')];
  lesion.addEventListener("change", () => boxes.forEach((box) => { box.checked = false; }));

  const sendAll = async (files) => {
    const to = lesion.value;
    const findings = boxes.filter((box) => box.checked).map((box) => box.value);
    const waiting = [...files].map((file) => [file, row(file)]);
    const worker = async () => {
      while (waiting.length) {
        const [file, shown] = waiting.shift();
        await send(file, shown, to, findings);
      }
    };
    await Promise.all([worker(), worker()]);
  };

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (picker.files.length) sendAll(picker.files);
    picker.value = "";
  });
  ["dragenter", "dragover"].forEach((name) => zone.addEventListener(name, (event) => {
    event.preventDefault();
    zone.classList.add("is-over");
  }));
  ["dragleave", "drop"].forEach((name) => zone.addEventListener(name, (event) => {
    event.preventDefault();
    zone.classList.remove("is-over");
  }));
  zone.addEventListener("drop", (event) => { if (event.dataTransfer.files.length) sendAll(event.dataTransfer.files); });
})();
