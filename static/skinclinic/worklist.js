/* The list renews itself, but puts no other row under the pointer or the focus: it says that there is something new. */
(() => {
  const unfold = document.getElementById("narrowing-open");
  unfold.addEventListener("click", () => {
    const isShown = document.getElementById("narrowing").classList.toggle("is-shown");
    unfold.setAttribute("aria-expanded", isShown);
  });
  const news = document.getElementById("worklist-news");
  const rows = (root) => [...root.querySelectorAll("[data-row]")].map((row) => row.dataset.row).join();
  document.body.addEventListener("htmx:beforeSwap", (event) => {
    const list = event.detail.target;
    if (list.id !== "worklist" || event.detail.requestConfig.elt !== list) return;
    const fresh = new DOMParser().parseFromString(event.detail.serverResponse, "text/html");
    const isSame = rows(fresh) === rows(list);
    const isUsed = list.matches(":hover") || list.contains(document.activeElement);
    news.hidden = isSame || !isUsed;
    if (!isSame && isUsed) event.detail.shouldSwap = false;
  });
  document.body.addEventListener("htmx:afterSwap", (event) => {
    if (event.detail.target.id === "worklist") news.hidden = true;
  });
  news.querySelector("button").addEventListener("click", () => {
    const list = document.getElementById("worklist");
    window.htmx.ajax("GET", list.getAttribute("hx-get"), { source: "#worklist-news", target: "#worklist", swap: "outerHTML" });
  });
})();
