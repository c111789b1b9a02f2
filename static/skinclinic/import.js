/* Bulk import: a table out of a zip, and photographs by the thousand. The row that names a file is its number: sent
   twice it is kept once. */
(() => {
  const LARGEST_TABLE = 2_000_000;
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
    const [stored, refused, broken] = ["stored", "refused", "broken"].map((state) => sender.count(state));
    const values = { stored, refused, broken, all: uploads.size, count: unknown };
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

  const HALTS = ["stale", "stopped"];
  const changed = (upload, how, told) => {
    if (how === "refused") problem(upload.name, told.refused);
    if (how === "damaged") problem(upload.name, words("damaged"));
    if (HALTS.includes(how)) halted = how;
    show();
    if (!sender.isUnsent()) refreshReport();
  };

  const sender = window.sender(form, {
    selector: "[data-import]",
    all: () => [...uploads.values()],
    open: (upload) => upload.open(),
    changed,
    mayGoOn: () => !halted,
  });

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

  /* What rows wait for, and how much may still come, may have changed since the page was drawn. */
  const ask = async () => {
    const fresh = await sender.renew();
    if (!fresh) throw new Error("stale");
    const needed = await fetch(form.dataset.needed, { headers: { Accept: "application/json" } });
    return { needed: new Set((await needed.json()).names), left: Number(fresh.dataset.left) };
  };

  const sizeOf = (files) => files.reduce((all, { size }) => all + size, 0);

  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const retried = halted ? [...uploads.values()].filter(({ state }) => state === "broken") : [];
    let asked;
    try {
      asked = await ask();
    } catch (error) {
      halted = error.message === "stale" ? "stale" : "line";
      show();
      return;
    }
    const files = await chosenFiles();
    const wanted = files.filter(({ name }) => asked.needed.has(keyOf(name)));
    const unsent = wanted.filter(({ name }) => !["waiting", "sending"].includes(uploads.get(keyOf(name))?.state));
    if (sizeOf(unsent) > asked.left) {
      said.textContent = words("full");
      return;
    }
    halted = "";
    unknown = files.length - wanted.length;
    const seen = new Set();
    for (const file of wanted) {
      const key = keyOf(file.name);
      if (seen.has(key)) {
        uploads.get(key).state = "refused";
        problem(file.name, words("twice"));
      } else {
        seen.add(key);
        const tooLarge = file.size > Number(form.dataset.largest);
        if (unsent.includes(file)) uploads.set(key, { ...file, state: tooLarge ? "refused" : "waiting", tries: 0 });
        if (tooLarge) problem(file.name, words("large"));
      }
    }
    retried.forEach((upload) => { if (upload.state === "broken") upload.state = "waiting"; });
    pickers.forEach((picker) => { picker.value = ""; });
    show();
    sender.pump();
  });
})();
