/* Two photographs in two viewers that move together, or both in one, the second under the first as far as the slider says.
   Without this script the page shows both as plain pictures. */
(() => {
  const compare = document.getElementById("compare");
  const tools = document.getElementById("compare-tools");
  if (!compare || !window.OpenSeadragon) return;
  const linked = document.getElementById("compare-linked");
  const slider = document.getElementById("compare-slider");
  const stages = [...compare.querySelectorAll(".compare-stage")];
  const tenths = new Intl.NumberFormat(document.documentElement.lang, { minimumFractionDigits: 1, maximumFractionDigits: 1, useGrouping: false });
  const source = (stage) => ({ type: "image", url: stage.dataset.photograph });

  const viewers = stages.map((stage) => window.openPhotograph(stage, stage.dataset.photograph, stage.querySelector("img").alt));

  /* The one that is moved leads; the other one's own events, which follow, are not sent back. */
  let leader = null;
  const follow = (from, to) => {
    if (!linked.checked || compare.dataset.mode !== "beside" || (leader && leader !== from)) return;
    leader = from;
    to.viewport.zoomTo(from.viewport.getZoom(), null, true);
    to.viewport.panTo(from.viewport.getCenter(), true);
    leader = null;
  };
  viewers.forEach((viewer, index) => {
    const other = viewers[1 - index];
    const magnified = stages[index].closest("figure").querySelector("output");
    viewer.addHandler("zoom", () => {
      magnified.textContent = `${tenths.format(viewer.viewport.getZoom() / viewer.viewport.getHomeZoom())}×`;
    });
    viewer.addHandler("open", () => { if (other.isOpen()) follow(other, viewer); });
    for (const change of ["zoom", "pan", "animation"]) {
      viewer.addHandler(change, () => { if (viewer.isOpen() && other.isOpen()) follow(viewer, other); });
    }
  });

  let upper = null;
  const uncover = () => {
    const size = upper?.getContentSize();
    if (size) upper.setClip(new OpenSeadragon.Rect(0, 0, (size.x * Number(slider.value)) / 100, size.y));
  };

  const show = (mode) => {
    compare.dataset.mode = mode;
    tools.dataset.mode = mode;
    tools.querySelectorAll("button[data-mode]").forEach((button) => {
      button.setAttribute("aria-pressed", String(button.dataset.mode === mode));
      button.classList.toggle("active", button.dataset.mode === mode);
    });
    const [first] = viewers;
    if (mode === "over" && !upper) {
      first.addTiledImage({
        tileSource: source(stages[1]),
        index: 0,
        success: () => { upper = first.world.getItemAt(1); uncover(); },
      });
    } else if (mode === "beside" && upper) {
      first.world.removeItem(first.world.getItemAt(0));
      upper.setClip(null);
      upper = null;
    }
  };

  tools.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (!button) return;
    if (button.dataset.mode) { show(button.dataset.mode); return; }
    const moved = compare.dataset.mode === "beside" && !linked.checked ? viewers : viewers.slice(0, 1);
    moved.forEach((viewer) => {
      if (button.dataset.zoom === "home") viewer.viewport.goHome();
      else viewer.viewport.zoomBy(Number(button.dataset.zoom)).applyConstraints();
    });
  });
  slider.addEventListener("input", uncover);
  linked.addEventListener("change", () => follow(viewers[0], viewers[1]));
  tools.hidden = false;
  show("beside");
})();
