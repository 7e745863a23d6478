"use strict";
// While a run is running, fetch this page anew every few seconds, and exchange those of its parts that changed.
(() => {
  const PERIOD_MS = 2500;
  const main = document.querySelector("main");
  const button = document.getElementById("live");
  let paused = false;
  let timer = 0;

  const saving = () => navigator.connection?.saveData || matchMedia("(prefers-reduced-data: reduce)").matches;
  const isLive = () => "running" in main.dataset;

  function tell(words) {
    button.hidden = !isLive() || saving();
    button.textContent = words ?? (paused ? "Paused" : "Live");
    button.setAttribute("aria-pressed", String(paused));
    button.setAttribute("aria-label", "Pause the updates of this page");
  }

  const parts = (root) => new Map([...root.querySelectorAll("[data-live]")].map((part) => [part.dataset.live, part]));
  // Nobody loses their place: what is being read or stands under the keyboard is exchanged another time.
  const inUse = (part) =>
    part.contains(document.activeElement) || (!getSelection().isCollapsed && getSelection().containsNode(part, true));

  function exchange(fresh) {
    const here = parts(main);
    const there = parts(fresh);
    if ([...here.keys()].join() !== [...there.keys()].join()) {
      if (!inUse(main)) main.replaceChildren(...fresh.childNodes);
    } else {
      for (const [name, part] of here) {
        const next = there.get(name);
        if (part.innerHTML === next.innerHTML || inUse(part)) continue;
        const scrolled = [...part.querySelectorAll(".scroll, pre")].map((box) => [box.scrollLeft, box.scrollTop]);
        part.replaceChildren(...next.childNodes);
        part.querySelectorAll(".scroll, pre").forEach((box, place) => {
          if (scrolled[place]) [box.scrollLeft, box.scrollTop] = scrolled[place];
        });
      }
    }
    main.toggleAttribute("data-running", fresh.hasAttribute("data-running"));
  }

  async function update() {
    let words;
    try {
      const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
      const fresh = new DOMParser().parseFromString(await answer.text(), "text/html").querySelector("main");
      // The key may have changed, or the run may be gone: what is shown stays until somebody looks for themselves.
      if (answer.ok && !answer.redirected && fresh) exchange(fresh);
    } catch {
      words = "No answer";
    }
    tell(words);
    plan();
  }

  function plan() {
    clearTimeout(timer);
    if (isLive() && !paused && !saving() && document.visibilityState === "visible") timer = setTimeout(update, PERIOD_MS);
  }

  button.addEventListener("click", () => {
    paused = !paused;
    tell();
    plan();
  });
  document.addEventListener("visibilitychange", () => {
    // Whoever comes back sees what is: a run may have begun meanwhile.
    if (document.visibilityState === "visible" && !paused && !saving()) update();
  });
  tell();
  plan();
})();
