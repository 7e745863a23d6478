"use strict";
// Tables: a click on a head sorts by its column, and a button copies the whole table, to the digit.
(() => {
  // An interval goes by its lower end. Words of Python's for what no digits say are numbers too.
  const NUMBERS = { inf: Infinity, "-inf": -Infinity, nan: NaN };
  const number = (text) => NUMBERS[text.split(" ")[0]] ?? Number(text.split(" ")[0]);

  // Numbers as numbers, words as words; a column is one or the other.
  function order(one, other) {
    const [x, y] = [number(one.dataset.value), number(other.dataset.value)];
    return Number.isNaN(x) || Number.isNaN(y) ? one.dataset.value.localeCompare(other.dataset.value) : x - y;
  }

  function sort(head, place) {
    const body = head.closest("table").tBodies[0];
    const up = head.getAttribute("aria-sort") !== "ascending";
    // What is absent comes last, whichever way.
    const absent = (row) => ["", "nan", "nan nan"].includes(row.cells[place].dataset.value);
    const rows = [...body.rows].sort((one, other) => {
      if (absent(one) || absent(other)) return absent(one) - absent(other);
      return (up ? 1 : -1) * order(one.cells[place], other.cells[place]);
    });
    body.append(...rows);
    for (const other of head.parentElement.cells) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", up ? "ascending" : "descending");
  }

  // Tabs between cells: what a spreadsheet takes. It would take words that begin like this for a formula.
  function inert(text) {
    const words = text.replace(/\s+/g, " ");
    return /^[=+@＝＋－＠-]/.test(words) && Number.isNaN(number(words)) ? `'${words}` : words;
  }

  function asText(table) {
    const heads = [...table.tBodies[0].rows[0].cells].map((cell) => cell.dataset.key);
    const rows = [...table.tBodies[0].rows].map((row) => [...row.cells].map((cell) => inert(cell.dataset.value)));
    return [heads, ...rows].map((cells) => cells.join("\t")).join("\n") + "\n";
  }

  async function copy(table, button) {
    try {
      await navigator.clipboard.writeText(asText(table));
      button.textContent = "Copied";
    } catch {
      button.textContent = "Your browser forbids it";
    }
    setTimeout(() => (button.textContent = "Copy"), 2000);
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
