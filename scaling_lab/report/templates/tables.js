"use strict";
// Tables: a click on a head sorts by its column, and a button copies the whole table, to the digit.
(() => {
  // Numbers as numbers, words as words; what is absent comes last, whichever way.
  function order(one, other) {
    const [a, b] = [one.dataset.value, other.dataset.value];
    const [x, y] = [Number(a), Number(b)];
    return Number.isNaN(x) || Number.isNaN(y) ? a.localeCompare(b) : x - y;
  }

  function sort(head, place) {
    const body = head.closest("table").tBodies[0];
    const up = head.getAttribute("aria-sort") !== "ascending";
    const absent = (row) => row.cells[place].dataset.value === "";
    const rows = [...body.rows].sort((one, other) => {
      if (absent(one) || absent(other)) return absent(one) - absent(other);
      return (up ? 1 : -1) * order(one.cells[place], other.cells[place]);
    });
    body.append(...rows);
    for (const other of head.parentElement.cells) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", up ? "ascending" : "descending");
  }

  // Tabs between cells: what a spreadsheet takes.
  function asText(table) {
    const heads = [...table.tBodies[0].rows[0].cells].map((cell) => cell.dataset.key);
    const rows = [...table.tBodies[0].rows].map((row) => [...row.cells].map((cell) => cell.dataset.value.replace(/\s+/g, " ")));
    return [heads, ...rows].map((cells) => cells.join("\t")).join("\n") + "\n";
  }

  async function copy(table, button) {
    const words = button.textContent;
    try {
      await navigator.clipboard.writeText(asText(table));
      button.textContent = "Copied";
    } catch {
      button.textContent = "Your browser forbids it";
    }
    setTimeout(() => (button.textContent = words), 2000);
  }

  for (const table of document.querySelectorAll(".scroll table")) {
    [...table.tHead.rows].at(-1).querySelectorAll("button").forEach((button) => {
      const head = button.closest("th");
      button.addEventListener("click", () => sort(head, head.cellIndex));
    });
    const button = table.caption.querySelector("button");
    button.addEventListener("click", () => copy(table, button));
  }
})();
