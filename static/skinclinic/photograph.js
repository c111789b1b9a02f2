/* A photograph in a viewer, to be zoomed and moved by wheel, touch and keys. It takes the plain picture's place. */
window.openPhotograph = (stage, address, label) => {
  stage.replaceChildren();
  withoutItsStyle();
  const viewer = OpenSeadragon({
    element: stage,
    drawer: "canvas",
    tileSources: { type: "image", url: address },
    showNavigationControl: false,
    animationTime: matchMedia("(prefers-reduced-motion: reduce)").matches ? 0 : 0.15,
    maxZoomPixelRatio: 8,
    visibilityRatio: 0.5,
    gestureSettingsMouse: { clickToZoom: false, dblClickToZoom: true },
  });
  viewer.canvas.setAttribute("role", "img");
  viewer.canvas.setAttribute("aria-label", label);
  return viewer;
};

/* The viewer puts a style into the page that takes the focus ring away on touch screens, unless it finds one there. We want
   the ring, and the content policy lets no style in that stands in the page. */
const withoutItsStyle = () => {
  if (document.querySelector("style[data-openseadragon-mobile-css]")) return;
  const nothing = document.createElement("style");
  nothing.dataset.openseadragonMobileCss = "";
  document.head.append(nothing);
};
