/* The photographs of a visit: each is said to be sent, stored or not on a line of its own, and is stored once. */
(() => {
  const form = document.querySelector("[data-upload]");
  if (!form) return;
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

  const refresh = () => {
    const live = document.getElementById("screenings");
    if (live && window.htmx) window.htmx.ajax("GET", live.dataset.live, { target: "#screenings", swap: "outerHTML" });
  };

  const SENTENCES = {
    waiting: () => say.waits,
    sending: () => say.sending,
    sent: () => say.sent,
    stored: (told) => told.said,
    refused: (told) => told.refused,
    large: () => say.tooLarge,
    line: () => say.brokeOff,
    busy: () => say.notTakenNow,
    stale: () => say.signedOut,
    stopped: () => say.notTaken,
  };

  const show = (upload, how, told) => {
    upload.row.item.className = upload.state;
    upload.row.told.textContent = SENTENCES[how](told);
    upload.row.again.hidden = upload.state !== "broken";
    /* A full bar would say that it is there. */
    upload.row.progress.hidden = upload.state === "refused";
    upload.row.mark.hidden = upload.state !== "refused";
    if (upload.state === "broken") upload.row.progress.value = 0;
    if (how === "stale") upload.stale = true;
    if (how === "stored") {
      upload.row.progress.value = 100;
      refresh();
    }
    const parts = [say.stored.replace("{count}", sender.count("stored")).replace("{all}", uploads.length)];
    if (sender.count("refused")) parts.push(say.refused.replace("{count}", sender.count("refused")));
    if (sender.count("broken")) parts.push(say.unsent.replace("{count}", sender.count("broken")));
    if (uploads.length) said.textContent = `${parts.join(", ")}.`;
  };

  const sender = window.sender(form, {
    selector: "[data-upload]",
    all: () => uploads,
    open: async (upload) => {
      if (upload.stale) {
        upload.stale = false;
        await sender.renew().catch(() => {});
      }
      return upload.file;
    },
    fields: ({ lesion, kind, submission, findings: seen }) => [
      ["lesion", lesion],
      ["kind", kind],
      ["submission", submission],
      ...seen.map((finding) => ["findings", finding]),
    ],
    changed: show,
    progressed: (upload, share) => { upload.row.progress.value = 100 * share; },
  });

  const add = (files) => {
    [...files].forEach((file) => {
      const upload = {
        file,
        name: file.name,
        state: file.size > Number(form.dataset.largest) ? "refused" : "waiting",
        lesion: form.elements.lesion.value,
        kind: form.elements.kind.value,
        findings: boxes.filter((box) => box.checked && !findings.hidden).map((box) => box.value),
        submission: number(),
        tries: 0,
        row: row(file),
      };
      uploads.push(upload);
      upload.row.again.addEventListener("click", () => sender.retry(upload));
      show(upload, upload.state === "refused" ? "large" : "waiting");
    });
    sender.pump();
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
