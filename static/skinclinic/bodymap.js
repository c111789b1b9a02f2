/* The body map of the new-lesion form: a click or the arrow keys set the place, and propose site, side and view.
   What was chosen by hand stays; the server asks where it does not belong to the mark. */
(() => {
  const map = document.querySelector("[data-bodymap]");
  if (!map) return;
  const CLOSE = 4; // units of the map that a finger may miss the body by
  const field = (name) => document.getElementById(`id_${name}`);
  const said = document.getElementById("map-said");
  const regions = JSON.parse(map.dataset.regions);
  const proposed = { site: !field("site").value, laterality: !field("laterality").value };
  const namespace = "http://www.w3.org/2000/svg";
  const mark = document.createElementNS(namespace, "g");
  mark.setAttribute("class", "spot spot-new");
  const dot = document.createElementNS(namespace, "circle");
  dot.setAttribute("r", "4.5");
  mark.append(dot);

  const isOnBody = (svg, x, y) => {
    const point = svg.createSVGPoint();
    [point.x, point.y] = [100 * x, 200 * y];
    return svg.querySelector(".skin").isPointInFill(point);
  };

  /* The place itself, or the body's edge beside it; nothing where the body is farther away. */
  const onBody = (svg, x, y) => {
    for (let off = 0; off <= CLOSE; off += 1) {
      for (let turn = 0; turn < 8; turn += 1) {
        const angle = (turn * Math.PI) / 4;
        const near = [x + (off * Math.cos(angle)) / 100, y + (off * Math.sin(angle)) / 200];
        if (isOnBody(svg, ...near)) return near;
      }
    }
    return null;
  };

  const siteAt = (view, x, y) => {
    const [away, down] = [Math.abs(100 * x - 50), 200 * y];
    const found = regions.find(([of, near, far, top, bottom]) => of === view && near <= away && away <= far && top <= down && down <= bottom);
    return found ? found[5] : "";
  };

  const draw = (svg, x, y) => {
    mark.setAttribute("transform", `translate(${100 * x} ${200 * y})`);
    svg.append(mark);
  };

  const propose = (name, value) => {
    if (proposed[name] || !field(name).value) {
      field(name).value = value;
      proposed[name] = true;
    }
  };

  const place = (svg, x, y) => {
    const { view } = svg.dataset;
    field("x").value = x.toFixed(4);
    field("y").value = y.toFixed(4);
    field("view").value = view;
    draw(svg, x, y);
    propose("site", siteAt(view, x, y));
    /* Seen from the front, the patient's left is on the right of the picture. */
    const offCentre = view === "front" ? x - 0.5 : 0.5 - x;
    propose("laterality", Math.abs(offCentre) < 0.04 ? "midline" : offCentre > 0 ? "left" : "right");
    const sentence = view === "front" ? map.dataset.saidFront : map.dataset.saidBack;
    const chosen = (name) => field(name).selectedOptions[0].textContent;
    said.textContent = `${chosen("site")}, ${chosen("laterality")}. ${sentence.replace("{across}", Math.round(100 * x)).replace("{down}", Math.round(100 * y))}`;
  };

  Object.keys(proposed).forEach((name) => field(name).addEventListener("change", () => { proposed[name] = false; }));

  map.querySelectorAll("svg").forEach((svg) => {
    svg.addEventListener("click", (event) => {
      const box = svg.getBoundingClientRect();
      const found = onBody(svg, (event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height);
      if (found) place(svg, ...found);
      else said.textContent = map.dataset.saidBeside;
    });
    svg.addEventListener("keydown", (event) => {
      const step = { ArrowLeft: [-0.02, 0], ArrowRight: [0.02, 0], ArrowUp: [0, -0.01], ArrowDown: [0, 0.01] }[event.key];
      if (!step) return;
      event.preventDefault();
      const isHere = field("view").value === svg.dataset.view && field("x").value && field("y").value;
      let [x, y] = isHere ? [Number(field("x").value), Number(field("y").value)] : [0.5, 0.3];
      /* Over what lies between an arm and the trunk, say; at the body's end the mark stays where it is. */
      do {
        x += step[0];
        y += step[1];
      } while (x > 0 && x < 1 && y > 0 && y < 1 && !isOnBody(svg, x, y));
      if (isOnBody(svg, x, y)) place(svg, x, y);
    });
  });

  if (field("x").value && field("y").value) {
    const svg = map.querySelector(`[data-view="${field("view").value}"]`);
    if (svg) draw(svg, Number(field("x").value), Number(field("y").value));
  }
})();
