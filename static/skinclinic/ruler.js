/* A ruler on the photograph: two ends to be dragged, or moved with the arrow keys. It tells millimetres where a scale
   is known, and lets one be set. */
(() => {
  const stage = document.getElementById("viewer-stage");
  const button = document.querySelector("[data-ruler]");
  const viewer = stage?.viewer;
  if (!viewer || !button) return;
  const panel = document.getElementById("ruler-panel");
  const said = document.getElementById("ruler-said");
  const form = document.getElementById("scale-form");
  const scale = Number(stage.dataset.pixelMillimetres || 0);
  const STEP = 0.002; // of the photograph's width, for one press of a key; ten times that with Shift
  const tenths = new Intl.NumberFormat(document.documentElement.lang, { minimumFractionDigits: 1, maximumFractionDigits: 1, useGrouping: false });
  const ends = [];
  let line = null;

  const size = () => viewer.world.getItemAt(0).getContentSize();
  const clamp = (value, limit) => Math.min(Math.max(value, 0), limit);

  /* Places are in the photograph's own pixels. */
  const onScreen = (place) => viewer.viewport.imageToViewerElementCoordinates(new OpenSeadragon.Point(place.x, place.y));

  const tell = () => {
    const [a, b] = ends.map((end) => end.place);
    const pixels = Math.hypot(b.x - a.x, b.y - a.y);
    said.textContent = scale ? `${tenths.format(pixels * scale)} mm` : "";
    line.querySelector("text").textContent = said.textContent;
    if (!form) return;
    const { x: width, y: height } = size();
    const shares = { x1: a.x / width, y1: a.y / height, x2: b.x / width, y2: b.y / height };
    Object.entries(shares).forEach(([name, share]) => { form.elements[name].value = share.toFixed(6); });
  };

  const draw = () => {
    if (!line) return;
    ends.forEach((end) => {
      const at = onScreen(end.place);
      end.handle.style.transform = `translate(${at.x}px, ${at.y}px)`;
    });
    const [a, b] = ends.map((end) => onScreen(end.place));
    Object.entries({ x1: a.x, y1: a.y, x2: b.x, y2: b.y }).forEach(([name, value]) => {
      line.querySelectorAll("line").forEach((drawn) => drawn.setAttribute(name, value));
    });
    const label = line.querySelector("text");
    label.setAttribute("x", (a.x + b.x) / 2);
    label.setAttribute("y", (a.y + b.y) / 2 - 12);
  };

  const move = (end, x, y) => {
    const { x: width, y: height } = size();
    end.place = { x: clamp(x, width), y: clamp(y, height) };
    draw();
    tell();
  };

  const makeEnd = (name, place) => {
    const handle = document.createElement("button");
    handle.type = "button";
    handle.className = "ruler-end";
    handle.setAttribute("aria-label", name);
    const end = { handle, place };
    handle.addEventListener("keydown", (event) => {
      const [right, down] = { ArrowRight: [1, 0], ArrowLeft: [-1, 0], ArrowDown: [0, 1], ArrowUp: [0, -1] }[event.key] || [];
      if (right === undefined) return;
      event.preventDefault();
      event.stopPropagation();
      const step = STEP * size().x * (event.shiftKey ? 10 : 1);
      move(end, end.place.x + right * step, end.place.y + down * step);
    });
    handle.addEventListener("pointerdown", (event) => {
      event.stopPropagation();
      handle.setPointerCapture(event.pointerId);
    });
    handle.addEventListener("pointermove", (event) => {
      if (!handle.hasPointerCapture(event.pointerId)) return;
      const frame = stage.getBoundingClientRect();
      const at = new OpenSeadragon.Point(event.clientX - frame.left, event.clientY - frame.top);
      const { x, y } = viewer.viewport.viewerElementToImageCoordinates(at);
      move(end, x, y);
    });
    stage.append(handle);
    return end;
  };

  const lay = () => {
    const namespace = "http://www.w3.org/2000/svg";
    line = document.createElementNS(namespace, "svg");
    line.setAttribute("class", "ruler-line");
    line.setAttribute("aria-hidden", "true");
    line.append(...["line", "line", "text"].map((tag) => document.createElementNS(namespace, tag)));
    stage.append(line);
    const { x, y } = size();
    ends.push(makeEnd(panel.dataset.first, { x: x * 0.35, y: y / 2 }), makeEnd(panel.dataset.second, { x: x * 0.65, y: y / 2 }));
    draw();
    tell();
    panel.scrollIntoView({ block: "nearest" });
    ends[0].handle.focus({ preventScroll: true });
  };

  const takeAway = () => {
    line.remove();
    line = null;
    ends.splice(0).forEach(({ handle }) => handle.remove());
  };

  const begin = () => { button.hidden = false; };
  if (viewer.world.getItemCount()) begin();
  else viewer.addOnceHandler("open", begin);
  viewer.addHandler("update-viewport", draw);
  button.addEventListener("click", () => {
    const lies = line === null;
    button.setAttribute("aria-pressed", String(lies));
    panel.hidden = !lies;
    if (lies) lay();
    else takeAway();
  });
})();
