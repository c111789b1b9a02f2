/* Light or dark, before anything is drawn: as the person chose, else as her system says. And that scripts run. */
(() => {
  const root = document.documentElement;
  root.dataset.scripts = "";
  const system = window.matchMedia("(prefers-color-scheme: dark)");
  const chosen = () => localStorage.getItem("theme");
  const show = () => root.setAttribute("data-bs-theme", chosen() || (system.matches ? "dark" : "light"));
  show();
  system.addEventListener("change", show);
  document.addEventListener("DOMContentLoaded", () => {
    document.getElementById("theme-switch")?.addEventListener("click", () => {
      localStorage.setItem("theme", root.getAttribute("data-bs-theme") === "dark" ? "light" : "dark");
      show();
    });
  });
})();
