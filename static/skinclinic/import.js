/* Bulk import: a table out of a zip, and photographs by the thousand, each by a request of its own.
   The row that names a file is its number: sent twice it is kept once. The files stay in this page, as in upload.js. */
(() => {
  const LARGEST_TABLE = 2_000_000;
  const STALLED = 30_000; // ms without a byte sent or an answer
  const PAUSES = [2_000, 4_000, 8_000, 15_000, 30_000]; // ms, before a broken one is sent again by itself
  const AT_ONCE = 2;
  const MOST_LISTED = 50;
  if (window.zip) window.zip.configure({ useWebWorkers: false });

  const wordsOf = (form) => (name, values = {}) => {
    const text = form.querySelector("[data-words]").content.querySelector(`[data-word="${name}"]`).textContent;
    return text.replace(/\{(\w+)\}/g, (_, key) => values[key]);
  };
  const base = (name) => name.split(/[/\\]/).pop();
  /* As `file_key` in import_table.py. */
  const keyOf = (name) => base(name).normalize("NFC").toLowerCase().split(/\s+/).filter(Boolean).join(" ").slice(0, 255);
  const isZip = (file) => /\.zip$/i.test(file.name);
  const isHidden = (name) => /(^|\/)(__MACOSX\/|\.)/.test(name);

  const entriesOf = async (file) => {
    const reader = new window.zip.ZipReader(new window.zip.BlobReader(file));
    const entries = await reader.getEntries();
    return entries.filter((entry) => !entry.directory && !isHidden(entry.filename));
  };
  const takeOut = (entry) => entry.getData(new window.zip.BlobWriter(), { checkSignature: true });

  /* The table's form: out of a zip only the table is sent. */
  const tableForm = document.querySelector("[data-import-table]");
  if (tableForm) {
    const words = wordsOf(tableForm);
    const said = tableForm.querySelector("[data-said]");
    const picker = tableForm.elements.table;
    tableForm.addEventListener("submit", async (event) => {
      const [file] = picker.files;
      if (!file || !isZip(file)) return;
      event.preventDefault();
      said.textContent = "";
      try {
        const tables = (await entriesOf(file)).filter((entry) => /\.csv$/i.test(entry.filename));
        if (tables.length !== 1 || tables[0].uncompressedSize > LARGEST_TABLE) {
          said.textContent = words(tables.length > 1 ? "many-tables" : "no-table");
          return;
        }
        const chosen = new DataTransfer();
        chosen.items.add(new File([await takeOut(tables[0])], "table.csv", { type: "text/csv" }));
        picker.files = chosen.files;
        tableForm.submit();
      } catch {
        said.textContent = words("no-zip");
      }
    });
  }

  const form = document.querySelector("[data-import]");
  if (!form) return;
  const words = wordsOf(form);
  const bar = form.querySelector("progress");
  const said = form.querySelector(".uploads-said");
  const list = form.querySelector(".import-problems");
  const pickers = [...form.querySelectorAll('input[type="file"]')];
  const uploads = new Map(); // by key
  let unknown = 0;
  let listed = 0;
  let halted = ""; // the word for why nothing more is sent until somebody acts

  const count = (...states) => [...uploads.values()].filter(({ state }) => states.includes(state)).length;
  const isUnsent = () => count("waiting", "sending", "broken") > 0;

  const problem = (name, sentence) => {
    listed += 1;
    if (listed > MOST_LISTED) {
      list.lastElementChild.textContent = words("more", { count: listed - MOST_LISTED });
      return;
    }
    const item = document.createElement("li");
    item.className = "refused";
    const named = document.createElement("span");
    named.className = "name";
    named.textContent = name;
    const why = document.createElement("span");
    why.className = "said";
    why.textContent = sentence;
    item.append(named, why);
    list.append(item);
    if (listed === MOST_LISTED) list.append(document.createElement("li"));
  };

  const show = () => {
    const values = { stored: count("stored"), refused: count("refused"), broken: count("broken"), all: uploads.size, count: unknown };
    bar.hidden = !uploads.size;
    bar.value = uploads.size ? (100 * (values.stored + values.refused)) / uploads.size : 0;
    const parts = uploads.size ? [words("stored", values)] : [];
    if (values.refused) parts.push(words("refused", values));
    if (halted) parts.push(words(halted));
    else if (values.broken) parts.push(words("broken", values));
    if (unknown && uploads.size) parts.push(words("unknown", values));
    if (unknown && !uploads.size) parts.push(words("none"));
    said.textContent = parts.join(" ");
  };

  const refreshReport = () => {
    if (window.htmx) window.htmx.ajax("GET", window.location.href, { target: "#import-report", select: "#import-report", swap: "outerHTML" });
  };

  const settle = (upload, state, sentence = "") => {
    upload.state = state;
    if (state === "refused") problem(upload.name, sentence);
    show();
    if (!isUnsent()) refreshReport();
  };

  const later = (upload) => {
    settle(upload, "broken");
    upload.timer = setTimeout(() => retry(upload), PAUSES[Math.min(upload.tries, PAUSES.length - 1)]);
    upload.tries += 1;
  };

  const retry = (upload) => {
    if (upload.state !== "broken" || halted) return;
    clearTimeout(upload.timer);
    upload.state = "waiting";
    show();
    pump();
  };

  const halt = (upload, word) => {
    halted = word;
    settle(upload, "broken");
  };

  const outcome = (request) => {
    try {
      return JSON.parse(request.responseText).photographs[0];
    } catch {
      return null;
    }
  };

  const send = (upload, blob) => new Promise((done) => {
    const body = new FormData();
    body.append("csrfmiddlewaretoken", form.elements.csrfmiddlewaretoken.value);
    body.append("clinic", form.elements.clinic.value);
    body.append("photographs", blob, upload.name);
    const request = new XMLHttpRequest();
    request.open("POST", form.action);
    request.setRequestHeader("Accept", "application/json");
    let watch = null;
    const alive = () => {
      clearTimeout(watch);
      watch = setTimeout(() => request.abort(), STALLED);
    };
    const end = (act, ...told) => {
      clearTimeout(watch);
      act(upload, ...told);
      done();
    };
    request.upload.addEventListener("progress", alive);
    request.upload.addEventListener("load", alive);
    request.addEventListener("error", () => end(later));
    request.addEventListener("abort", () => end(later));
    request.addEventListener("load", () => {
      const told = outcome(request);
      if (request.status === 201 && told) end(settle, "stored");
      else if (told && told.refused) end(settle, "refused", told.refused);
      else if (request.responseURL !== form.action || request.status === 403) end(halt, "stale");
      else if (request.status === 429 || request.status >= 500) end(later);
      else end(halt, "stopped");
    });
    alive();
    request.send(body);
  });

  const take = async (upload) => {
    let blob;
    try {
      blob = await upload.open();
    } catch {
      settle(upload, "refused", words("damaged"));
      return;
    }
    await send(upload, blob);
  };

  const pump = () => {
    if (halted) return;
    const waiting = [...uploads.values()].filter(({ state }) => state === "waiting");
    waiting.slice(0, Math.max(0, AT_ONCE - count("sending"))).forEach((upload) => {
      upload.state = "sending";
      take(upload).finally(pump);
    });
  };

  const chosenFiles = async () => {
    const found = [];
    for (const file of pickers.flatMap((picker) => [...picker.files])) {
      if (!isZip(file)) {
        found.push({ name: base(file.name), size: file.size, open: async () => file });
        continue;
      }
      try {
        const entries = await entriesOf(file);
        found.push(...entries.map((entry) => ({ name: base(entry.filename), size: entry.uncompressedSize, open: () => takeOut(entry) })));
      } catch {
        problem(file.name, words("no-zip"));
      }
    }
    return found;
  };

  /* A new sign-in changes the form's token, and what rows wait for may have changed since the page was drawn. */
  const ask = async () => {
    const page = await fetch(window.location.href, { headers: { Accept: "text/html" } });
    const fresh = new DOMParser().parseFromString(await page.text(), "text/html").querySelector("[data-import]");
    if (!fresh) throw new Error("stale");
    form.elements.csrfmiddlewaretoken.value = fresh.querySelector('[name="csrfmiddlewaretoken"]').value;
    const needed = await fetch(form.dataset.needed, { headers: { Accept: "application/json" } });
    return new Set((await needed.json()).names);
  };

  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const retried = halted ? [...uploads.values()].filter(({ state }) => state === "broken") : [];
    let needed;
    try {
      needed = await ask();
    } catch (error) {
      halted = error.message === "stale" ? "stale" : "line";
      show();
      return;
    }
    halted = "";
    unknown = 0;
    const seen = new Set();
    for (const file of await chosenFiles()) {
      const key = keyOf(file.name);
      if (!needed.has(key)) unknown += 1;
      else if (seen.has(key)) {
        uploads.get(key).state = "refused";
        problem(file.name, words("twice"));
      } else {
        seen.add(key);
        const tooLarge = file.size > Number(form.dataset.largest);
        if (!["waiting", "sending"].includes(uploads.get(key)?.state)) uploads.set(key, { ...file, state: tooLarge ? "refused" : "waiting", tries: 0 });
        if (tooLarge) problem(file.name, words("large"));
      }
    }
    retried.forEach((upload) => { if (upload.state === "broken") upload.state = "waiting"; });
    pickers.forEach((picker) => { picker.value = ""; });
    show();
    pump();
  });

  window.addEventListener("online", () => uploads.forEach(retry));
  window.addEventListener("beforeunload", (event) => { if (isUnsent()) event.preventDefault(); });
})();
