/* Each photograph on its own: one that fails is sent again, what was stored stays stored, and is stored once.
   The files stay in this page: a shared computer's storage is no place for them. */
(() => {
  const form = document.querySelector("[data-upload]");
  if (!form) return;
  const STALLED = 30_000; // ms without a byte sent or an answer
  const PAUSES = [2_000, 4_000, 8_000, 15_000, 30_000]; // ms, before a broken one is sent again by itself
  const AT_ONCE = 2; // a slow line is not split further, and the clinic is not flooded
  const say = form.dataset; // in the language of the page
  const zone = form.querySelector(".dropzone");
  const list = form.querySelector(".uploads");
  const said = form.querySelector(".uploads-said");
  const pickers = [...form.querySelectorAll('input[type="file"]')];
  const camera = form.querySelector("[data-camera]");
  const findings = form.querySelector("[data-findings]");
  const boxes = [...form.querySelectorAll('input[name="findings"]')];
  const uploads = [];

  const element = (tag, className, text = "") => {
    const made = document.createElement(tag);
    made.className = className;
    made.textContent = text;
    return made;
  };

  /* As crypto.randomUUID, which browsers keep from pages without TLS. */
  const number = () => {
    const bytes = crypto.getRandomValues(new Uint8Array(16));
    bytes[6] = (bytes[6] & 0x0f) | 0x40;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    const hex = [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
    return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join("-");
  };

  const row = (file) => {
    const item = element("li", "");
    const progress = document.createElement("progress");
    progress.max = 100;
    progress.value = 0;
    progress.setAttribute("aria-label", say.uploadOf.replace("{name}", () => file.name));
    const again = element("button", "btn btn-sm btn-outline-primary", say.again);
    again.type = "button";
    again.hidden = true;
    const mark = element("span", "chip chip-high", say.mark);
    mark.hidden = true;
    const told = element("span", "said");
    item.append(element("span", "name", file.name), progress, mark, again, told);
    list.append(item);
    return { item, progress, mark, again, told };
  };

  const count = (...states) => uploads.filter(({ state }) => states.includes(state)).length;
  const isUnsent = () => count("waiting", "sending", "broken") > 0;

  const show = (upload, state, sentence) => {
    upload.state = state;
    upload.row.item.className = state;
    upload.row.told.textContent = sentence;
    upload.row.again.hidden = state !== "broken";
    /* A full bar would say that it is there. */
    upload.row.progress.hidden = state === "refused";
    upload.row.mark.hidden = state !== "refused";
    if (state === "broken") upload.row.progress.value = 0;
    const parts = [say.stored.replace("{count}", count("stored")).replace("{all}", uploads.length)];
    if (count("refused")) parts.push(say.refused.replace("{count}", count("refused")));
    if (count("broken")) parts.push(say.unsent.replace("{count}", count("broken")));
    if (uploads.length) said.textContent = `${parts.join(", ")}.`;
  };

  const refresh = () => {
    const live = document.getElementById("screenings");
    if (live && window.htmx) window.htmx.ajax("GET", live.dataset.live, { target: "#screenings", swap: "outerHTML" });
  };

  const outcome = (request) => {
    try {
      return JSON.parse(request.responseText).photographs[0];
    } catch {
      return null;
    }
  };

  /* A new sign-in changes the form's token; the page itself is kept, with its files. */
  const renewToken = async () => {
    const page = await fetch(window.location.href, { headers: { Accept: "text/html" } });
    const fresh = new DOMParser().parseFromString(await page.text(), "text/html").querySelector("[data-upload]");
    if (fresh) form.elements.csrfmiddlewaretoken.value = fresh.querySelector('[name="csrfmiddlewaretoken"]').value;
  };

  const later = (upload) => {
    const pause = PAUSES[Math.min(upload.tries, PAUSES.length - 1)];
    upload.tries += 1;
    upload.timer = setTimeout(() => retry(upload), pause);
  };

  const retry = (upload) => {
    if (upload.state !== "broken") return;
    clearTimeout(upload.timer);
    show(upload, "waiting", say.waits);
    pump();
  };

  const send = (upload) => new Promise((done) => {
    const body = new FormData();
    body.append("csrfmiddlewaretoken", form.elements.csrfmiddlewaretoken.value);
    body.append("clinic", form.elements.clinic.value);
    body.append("lesion", upload.lesion);
    body.append("kind", upload.kind);
    body.append("submission", upload.submission);
    upload.findings.forEach((finding) => body.append("findings", finding));
    body.append("photographs", upload.file);
    const request = new XMLHttpRequest();
    request.open("POST", form.action);
    request.setRequestHeader("Accept", "application/json");

    let watch = null;
    const alive = () => {
      clearTimeout(watch);
      watch = setTimeout(() => request.abort(), STALLED);
    };
    const end = (state, sentence) => {
      clearTimeout(watch);
      show(upload, state, sentence);
      done();
    };
    const broken = () => {
      end("broken", say.brokeOff);
      later(upload);
    };
    request.upload.addEventListener("progress", (event) => {
      alive();
      if (event.lengthComputable) upload.row.progress.value = (100 * event.loaded) / event.total;
    });
    request.upload.addEventListener("load", () => {
      alive();
      upload.row.told.textContent = say.sent;
    });
    request.addEventListener("error", broken);
    request.addEventListener("abort", broken);
    request.addEventListener("load", () => {
      const told = outcome(request);
      if (request.status === 201 && told) {
        upload.row.progress.value = 100;
        end("stored", told.said);
        refresh();
      } else if (told && told.refused) {
        end("refused", told.refused);
      } else if (request.responseURL !== form.action || request.status === 403) {
        upload.stale = true;
        end("broken", say.signedOut);
      } else if (request.status === 429 || request.status >= 500) {
        end("broken", say.notTakenNow);
        later(upload);
      } else {
        end("broken", say.notTaken);
      }
    });
    show(upload, "sending", say.sending);
    alive();
    request.send(body);
  });

  const take = async (upload) => {
    if (upload.stale) {
      upload.stale = false;
      await renewToken().catch(() => {});
    }
    await send(upload);
  };

  const pump = () => {
    const waiting = uploads.filter(({ state }) => state === "waiting");
    waiting.slice(0, Math.max(0, AT_ONCE - count("sending"))).forEach((upload) => {
      upload.state = "sending";
      take(upload).finally(pump);
    });
  };

  const add = (files) => {
    [...files].forEach((file) => {
      const upload = {
        file,
        lesion: form.elements.lesion.value,
        kind: form.elements.kind.value,
        findings: boxes.filter((box) => box.checked && !findings.hidden).map((box) => box.value),
        submission: number(),
        tries: 0,
        row: row(file),
      };
      uploads.push(upload);
      upload.row.again.addEventListener("click", () => retry(upload));
      if (file.size > Number(form.dataset.largest)) show(upload, "refused", say.tooLarge);
      else show(upload, "waiting", say.waits);
    });
    pump();
  };

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    pickers.forEach((picker) => {
      add(picker.files);
      picker.value = "";
    });
    pickers[0].required = true;
  });
  form.elements.lesion.addEventListener("change", () => boxes.forEach((box) => { box.checked = false; }));
  form.addEventListener("change", () => {
    findings.hidden = form.elements.kind.value === "overview";
    pickers[0].required = pickers.every((picker) => !picker.files.length);
  });
  if (matchMedia("(pointer: coarse)").matches) camera.hidden = false;

  window.addEventListener("online", () => uploads.forEach(retry));
  window.addEventListener("beforeunload", (event) => { if (isUnsent()) event.preventDefault(); });

  ["dragenter", "dragover"].forEach((name) => zone.addEventListener(name, (event) => {
    event.preventDefault();
    zone.classList.add("is-over");
  }));
  ["dragleave", "drop"].forEach((name) => zone.addEventListener(name, (event) => {
    event.preventDefault();
    zone.classList.remove("is-over");
  }));
  zone.addEventListener("drop", (event) => { add(event.dataTransfer.files); });
})();
