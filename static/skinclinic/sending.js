/* Photographs on their way to the clinic, each by a request of its own: two at once, and what fails is sent again by
   itself. They stay in the page until then: a shared computer's storage is no place for them. What is said of them is
   the page's own business: it is told of every change.

   all(): the uploads, each with a `name` and a `state`; open(upload): its bytes, in time; fields(upload): what the form
   sends beside them; changed(upload, how, told); mayGoOn(): false while somebody has to act first; selector: the form's. */
window.sender = (form, { selector, all, open, fields = () => [], changed, progressed = () => {}, mayGoOn = () => true }) => {
  const STALLED = 30_000; // ms without a byte sent or an answer
  const PAUSES = [2_000, 4_000, 8_000, 15_000, 30_000]; // ms, before a broken one is sent again by itself
  const AT_ONCE = 2; // a slow line is not split further, and the clinic is not flooded
  const ENDS = { stored: "stored", refused: "refused", damaged: "refused" };

  const count = (...states) => all().filter(({ state }) => states.includes(state)).length;
  const isUnsent = () => count("waiting", "sending", "broken") > 0;

  const move = (upload, state, how, told) => {
    upload.state = state;
    changed(upload, how, told);
  };

  const retry = (upload) => {
    if (upload.state !== "broken" || !mayGoOn()) return;
    clearTimeout(upload.timer);
    move(upload, "waiting", "waiting");
    pump();
  };

  const end = (upload, how, told) => {
    move(upload, ENDS[how] ?? "broken", how, told);
    if (how !== "line" && how !== "busy") return;
    upload.timer = setTimeout(() => retry(upload), PAUSES[Math.min(upload.tries, PAUSES.length - 1)]);
    upload.tries += 1;
  };

  const outcome = (request) => {
    try {
      return JSON.parse(request.responseText).photographs[0];
    } catch {
      return null;
    }
  };

  const ending = (request, told) => {
    if (request.status === 201 && told) return "stored";
    if (told && told.refused) return "refused";
    if (request.responseURL !== form.action || request.status === 403) return "stale";
    return request.status === 429 || request.status >= 500 ? "busy" : "stopped";
  };

  const post = (upload, bytes) => new Promise((done) => {
    const body = new FormData();
    body.append("csrfmiddlewaretoken", form.elements.csrfmiddlewaretoken.value);
    body.append("clinic", form.elements.clinic.value);
    fields(upload).forEach(([name, value]) => body.append(name, value));
    body.append("photographs", bytes, upload.name);
    const request = new XMLHttpRequest();
    request.open("POST", form.action);
    request.setRequestHeader("Accept", "application/json");
    let watch = null;
    const alive = () => {
      clearTimeout(watch);
      watch = setTimeout(() => request.abort(), STALLED);
    };
    const finish = (how, told) => {
      clearTimeout(watch);
      end(upload, how, told);
      done();
    };
    request.upload.addEventListener("progress", (event) => {
      alive();
      if (event.lengthComputable) progressed(upload, event.loaded / event.total);
    });
    request.upload.addEventListener("load", () => {
      alive();
      changed(upload, "sent");
    });
    request.addEventListener("error", () => finish("line"));
    request.addEventListener("abort", () => finish("line"));
    request.addEventListener("load", () => {
      const told = outcome(request);
      finish(ending(request, told), told);
    });
    alive();
    request.send(body);
  });

  const take = async (upload) => {
    let bytes;
    try {
      bytes = await open(upload);
    } catch {
      end(upload, "damaged");
      return;
    }
    changed(upload, "sending");
    await post(upload, bytes);
  };

  const pump = () => {
    if (!mayGoOn()) return;
    const waiting = all().filter(({ state }) => state === "waiting");
    waiting.slice(0, Math.max(0, AT_ONCE - count("sending"))).forEach((upload) => {
      upload.state = "sending";
      take(upload).finally(pump);
    });
  };

  /* A new sign-in changes the form's token; the page itself is kept, with its files. Nothing where nobody is signed in. */
  const renew = async () => {
    const page = await fetch(window.location.href, { headers: { Accept: "text/html" } });
    const fresh = new DOMParser().parseFromString(await page.text(), "text/html").querySelector(selector);
    if (fresh) form.elements.csrfmiddlewaretoken.value = fresh.querySelector('[name="csrfmiddlewaretoken"]').value;
    return fresh;
  };

  window.addEventListener("online", () => all().forEach(retry));
  window.addEventListener("beforeunload", (event) => { if (isUnsent()) event.preventDefault(); });
  return { count, isUnsent, pump, renew, retry };
};
