/* The photograph, to be zoomed and moved, with the map over it: how strong, and for which diagnosis.
   Without this script the page shows the plain photograph. When a reading arrives, the page is drawn anew. */
(() => {
  const stage = document.getElementById("viewer-stage");
  const slider = document.getElementById("map-opacity");
  const choice = document.getElementById("map-diagnosis");
  const STRENGTHS = [0, 0.15, 0.3, 0.45, 0.6, 0.8];

  const open = () => {
    const { src, alt, width, height } = stage.querySelector("img");
    stage.style.aspectRatio = `${width} / ${height}`;
    stage.viewer = window.openPhotograph(stage, src, alt);
    return stage.viewer;
  };
  const viewer = stage && window.OpenSeadragon ? open() : null;

  document.querySelectorAll("[data-zoom]").forEach((button) => {
    button.parentElement.hidden = !viewer;
    button.addEventListener("click", () => {
      if (button.dataset.zoom === "home") viewer.viewport.goHome();
      else viewer.viewport.zoomBy(Number(button.dataset.zoom)).applyConstraints();
    });
  });

  if (viewer && slider) {
    let map = null;
    let wanted = "";
    const strength = () => STRENGTHS[Number(slider.value)];
    const dim = () => {
      map?.setOpacity(strength());
      stage.dataset.map = map && strength() ? wanted : "";
    };
    /* Fetched when it is asked for: that it was seen stands on the ledger. */
    const draw = () => {
      const address = choice.value ? `${slider.dataset.map}?diagnosis=${choice.value}` : slider.dataset.map;
      if (!strength() || address === wanted) { dim(); return; }
      wanted = address;
      viewer.addTiledImage({
        tileSource: { type: "image", url: address },
        width: 1,
        opacity: strength(),
        success: ({ item }) => {
          if (address !== wanted) { viewer.world.removeItem(item); return; }
          if (map) viewer.world.removeItem(map);
          map = item;
          dim();
        },
      });
    };
    slider.addEventListener("input", draw);
    choice.addEventListener("change", () => {
      if (slider.value === "0") slider.value = "3";
      draw();
    });
  }

  /* The map's tools stand outside of the live part. Reload for them, unless something is being written. */
  document.addEventListener("htmx:afterSettle", () => {
    const arrived = document.querySelector("#reading[data-arrived]");
    const writing = document.activeElement?.closest("form") || [...document.querySelectorAll(".review-form input:checked, .review-form textarea")].some((field) => field.type === "radio" || field.value);
    if (arrived && !slider && !writing) window.location.reload();
  });
})();
