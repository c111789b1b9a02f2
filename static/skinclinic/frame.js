/* The frame: "/" goes to the search, a menu closes when it is left, rows open on click. */
const typing = (target) => target.closest("input, textarea, select, [contenteditable]");

document.addEventListener("keydown", (event) => {
  if (event.key === "/" && !typing(event.target) && !event.ctrlKey && !event.metaKey) {
    const search = document.getElementById("top-search");
    if (search) {
      event.preventDefault();
      search.focus();
    }
  }
  if (event.key === "Escape") {
    document.querySelectorAll("details.person-menu[open]").forEach((menu) => menu.removeAttribute("open"));
  }
});

/* On a phone the bar below may be wider than the screen. */
const here = document.querySelector(".rail [aria-current]");
if (here) here.parentElement.scrollLeft = here.offsetLeft + here.offsetWidth / 2 - here.parentElement.clientWidth / 2;

/* What was refused is read first; `autofocus` does the same without scripts, where the browser knows it there. */
const refused = document.querySelector(".alert[autofocus]");
if (refused) {
  refused.focus();
  window.addEventListener("load", () => refused.scrollIntoView({ block: "center" })); /* pictures have their place now */
}

document.addEventListener("click", (event) => {
  document.querySelectorAll("details.person-menu[open]").forEach((menu) => {
    if (!menu.contains(event.target)) menu.removeAttribute("open");
  });
  const row = event.target.closest("[data-open]");
  if (row && !event.target.closest("a, button, input, select, label, summary")) {
    const target = document.getElementById(row.dataset.open);
    if (target) target.click();
  }
});

/* What a page asks for by itself, and not because of something that she did, keeps nobody signed in. */
document.addEventListener("htmx:configRequest", (event) => {
  const by = event.detail.triggeringEvent;
  if (!by || by.type === "load" || !by.isTrusted && by.type.startsWith("htmx:")) event.detail.headers["X-Polled"] = "1";
});
