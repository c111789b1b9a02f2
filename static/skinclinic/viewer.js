/* The map over the photograph: how strong, and for which diagnosis. When a reading arrives, the page is drawn anew. */
(() => {
  const slider = document.getElementById("map-opacity");
  const choice = document.getElementById("map-diagnosis");
  const map = document.getElementById("viewer-map");
  if (slider && map) {
    slider.addEventListener("input", () => { map.dataset.opacity = slider.value; });
    choice.addEventListener("change", () => {
      map.src = choice.value ? `${slider.dataset.map}?diagnosis=${choice.value}` : slider.dataset.map;
      if (slider.value === "0") {
        slider.value = "3";
        map.dataset.opacity = "3";
      }
    });
  }
  /* The map's tools stand outside of the live part. Reload for them, unless something is being written. */
  document.addEventListener("htmx:afterSettle", () => {
    const arrived = document.querySelector("#reading[data-arrived]");
    const writing = document.activeElement?.closest("form") || [...document.querySelectorAll(".review-form input:checked, .review-form textarea")].some((field) => field.type === "radio" || field.value);
    if (arrived && !map && !writing) window.location.reload();
  });
})();
