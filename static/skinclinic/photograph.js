/* A photograph in a viewer, to be zoomed and moved by wheel, touch and keys. It takes the plain picture's place. */
window.openPhotograph = (stage, address, label) => {
  stage.replaceChildren();
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
