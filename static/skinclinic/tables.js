/* The dashboard's pages: on a phone the tab that is shown is in sight. Tables of counts can be taken as a file: no row of them is a patient, so nothing has to be asked of the clinic. */
(() => {
  document.querySelector(".tabs [aria-current]")?.scrollIntoView({ block: "nearest", inline: "center" });
  const { csv, file } = document.querySelector("[data-csv]")?.dataset ?? {};
  if (!csv) return;
  const words = (cell) => cell.innerText.trim().replace(/\s+/g, " ");
  const quoted = (text) => `"${text.replaceAll('"', '""')}"`;

  const asCsv = (table) =>
    [...table.rows].map((row) => [...row.cells].map((cell) => quoted(words(cell))).join(",")).join("\r\n");

  document.querySelectorAll("table.counts").forEach((table, place) => {
    const link = document.createElement("a");
    link.className = "small csv-link";
    link.textContent = csv;
    link.href = "#";
    link.download = `${file}-${place + 1}.csv`;
    /* Made when it is asked for, of what stands there then; the mark in front tells spreadsheets that it is UTF-8. */
    link.addEventListener("click", () => {
      link.href = URL.createObjectURL(new Blob(["\ufeff", asCsv(table)], { type: "text/csv" }));
    });
    table.parentElement.after(link);
  });
})();
