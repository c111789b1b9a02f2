/* The body map of the new-lesion form: a click or the arrow keys set the place, and suggest side and view. */
(() => {
  const map = document.querySelector("[data-bodymap]");
  if (!map) return;
  const field = (name) => document.getElementById(`id_${name}`);
  const said = document.getElementById("map-said");
  const namespace = "http://www.w3.org/2000/svg";
  const mark = document.createElementNS(namespace, "g");
  mark.setAttribute("class", "spot spot-new");
  const dot = document.createElementNS(namespace, "circle");
  dot.setAttribute("r", "4.5");
  mark.append(dot);

  const within = (value) => Math.min(1, Math.max(0, value));

  const place = (svg, x, y) => {
    field("x").value = within(x).toFixed(4);
    field("y").value = within(y).toFixed(4);
    field("view").value = svg.dataset.view;
    mark.setAttribute("transform", `translate(${100 * within(x)} ${200 * within(y)})`);
    svg.append(mark);
    /* Seen from the front, the patient's left is on the right of the picture. */
    const offCentre = svg.dataset.view === "front" ? x - 0.5 : 0.5 - x;
    field("laterality").value = Math.abs(offCentre) < 0.04 ? "midline" : offCentre > 0 ? "left" : "right";
    const sentence = svg.dataset.view === "front" ? map.dataset.saidFront : map.dataset.saidBack;
    said.textContent = sentence.replace("{across}", Math.round(100 * x)).replace("{down}", Math.round(100 * y));
  };

  map.querySelectorAll("svg").forEach((svg) => {
    svg.addEventListener("click", (event) => {
      const box = svg.getBoundingClientRect();
      place(svg, (event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height);
    });
    svg.addEventListener("keydown", (event) => {
      const step = { ArrowLeft: [-0.02, 0], ArrowRight: [0.02, 0], ArrowUp: [0, -0.01], ArrowDown: [0, 0.01] }[event.key];
      if (!step) return;
      event.preventDefault();
      const here = field("view").value === svg.dataset.view;
      const x = here && field("x").value ? Number(field("x").value) : 0.5;
      const y = here && field("y").value ? Number(field("y").value) : 0.3;
      place(svg, x + step[0], y + step[1]);
    });
  });

  if (field("x").value && field("y").value) {
    const svg = map.querySelector(`[data-view="${field("view").value}"]`);
    if (svg) place(svg, Number(field("x").value), Number(field("y").value));
  }
})();
