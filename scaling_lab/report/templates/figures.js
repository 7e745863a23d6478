"use strict";
// Draws the figures, in the colours of the reader's setting, and again when that, or what a button shows, changes.
(() => {
  const source = document.getElementById("figures").textContent;
  const darkColours = JSON.parse(document.getElementById("dark-colours").textContent);
  // "screen": paper is always light.
  const prefersDark = matchMedia("screen and (prefers-color-scheme: dark)");
  const plots = [...document.querySelectorAll(".plot")];
  const PAPER_WIDTH = 660;
  const GAP = 24;

  // A colour is #rrggbb, or #rrggbbaa where it is partly transparent.
  const darkened = (colour) => (darkColours[colour.slice(0, 7)] ?? colour.slice(0, 7)) + colour.slice(7);

  function readFigures(dark) {
    const isColour = (key, value) => typeof value === "string" && value[0] === "#" && /color$/.test(key);
    return JSON.parse(source, (key, value) => {
      if (!dark) return value;
      if (/color$/.test(key) && Array.isArray(value)) return value.map(darkened);
      return isColour(key, value) ? darkened(value) : value;
    });
  }

  let figures = readFigures(prefersDark.matches);

  const config = {
    responsive: true,
    displaylogo: false,
    // Where nothing hovers (a phone), the buttons would lie on the legend for good.
    displayModeBar: matchMedia("(hover: hover)").matches ? "hover" : false,
    modeBarButtons: [["zoom2d", "pan2d", "resetScale2d", "toImage"]],
  };

  function draw(plot, size = {}) {
    const { data, layout } = structuredClone(figures[plot.dataset.figure]);
    if ((size.width ?? plot.clientWidth) < 480) layout.font.size = 11;
    Object.assign(layout, size);
    const filename = plot.dataset.figure;
    // Not Plotly.react: that keeps the width of paper after printing.
    return Plotly.newPlot(plot, data, layout, { ...config, toImageButtonOptions: { format: "svg", filename } });
  }

  function drawAll(dark) {
    figures = readFigures(dark);
    plots.forEach((plot) => draw(plot));
  }

  // Paper is narrower than most windows, and the browser lays out for it too late for a figure to follow.
  function drawForPaper() {
    figures = readFigures(false);
    for (const plot of plots) {
      const width = plot.closest(".grid") ? (PAPER_WIDTH - GAP) / 2 : PAPER_WIDTH;
      draw(plot, { width, height: width < 400 ? 240 : 360, autosize: false });
    }
  }

  function choose(button) {
    for (const other of button.parentElement.querySelectorAll("button")) {
      other.setAttribute("aria-pressed", String(other === button));
    }
    const plot = document.getElementById(button.dataset.in);
    // Where a figure has several choices, the parts of its name: of "bits" and "total", bits-total.
    const pressed = plot.parentElement.querySelectorAll('.choice button[aria-pressed="true"]');
    plot.dataset.figure = [...pressed].map((one) => one.dataset.shows).join("-");
    for (const caption of plot.parentElement.querySelectorAll("figcaption[data-of]")) {
      caption.hidden = caption.dataset.of !== plot.dataset.figure;
    }
    draw(plot);
  }

  document.querySelectorAll("[data-shows]").forEach((button) => {
    button.addEventListener("click", () => choose(button));
  });
  prefersDark.addEventListener("change", () => drawAll(prefersDark.matches));
  addEventListener("beforeprint", drawForPaper);
  addEventListener("afterprint", () => drawAll(prefersDark.matches));
  drawAll(prefersDark.matches);
})();
