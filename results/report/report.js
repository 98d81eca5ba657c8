"use strict";

const collator = new Intl.Collator("en", { numeric: true });
const said = document.getElementById("said");

// Headings become buttons here, so that they do not look clickable without this script.
for (const table of document.querySelectorAll("table")) {
  const body = table.tBodies[0];
  const planned = [...body.rows];
  const headings = [...table.tHead.rows[0].cells];
  headings.forEach((heading, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...heading.childNodes);
    heading.append(button);
    button.addEventListener("click", () => sort(table, body, planned, headings, column));
  });
}
for (const tools of document.querySelectorAll(".tools")) tools.hidden = false;

function sort(table, body, planned, headings, column) {
  const heading = headings[column];
  const next = { ascending: "descending", descending: null }[heading.ariaSort];
  const direction = next === undefined ? "ascending" : next;
  headings.forEach((other) => other.removeAttribute("aria-sort"));
  if (direction) heading.setAttribute("aria-sort", direction);
  body.append(...(direction ? ordered(planned, column, direction === "ascending" ? 1 : -1) : planned));
  const name = document.getElementById(table.getAttribute("aria-labelledby")).textContent;
  said.textContent = direction ? `${name}: sorted by ${heading.textContent}, ${direction}` : `${name}: plan order`;
}

// Numbers sort by value and texts alphabetically. Cells without a number come last in both directions.
function ordered(rows, column, sign) {
  const keyed = rows.map((row) => {
    const cell = row.cells[column];
    return { row, text: cell.textContent.trim(), number: "number" in cell.dataset ? Number(cell.dataset.number) : null };
  });
  const rank = (one) => (one.number === null ? 1 : 0);
  return keyed
    .sort((one, other) => {
      if (rank(one) !== rank(other)) return rank(one) - rank(other);
      return sign * (one.number === null ? collator.compare(one.text, other.text) : one.number - other.number);
    })
    .map((one) => one.row);
}

const select = document.getElementById("architecture");
const filtered = [...document.querySelectorAll("tr[data-architecture]")];

function filter() {
  const wanted = select.value;
  for (const row of filtered) row.hidden = wanted !== "" && wanted !== `=${row.dataset.architecture}`;
  for (const foot of document.querySelectorAll("tfoot")) foot.hidden = wanted !== "";
  const shown = filtered.filter((row) => !row.hidden).length;
  said.textContent = `Showing ${shown} of ${filtered.length} table rows`;
}

if (select) {
  select.addEventListener("change", filter);
  filter(); // browsers keep the selection when the page is reloaded
}

function mark(anchors) {
  for (const row of document.querySelectorAll("tr.marked")) row.classList.remove("marked");
  const rows = anchors.map((anchor) => document.getElementById(anchor)).filter(Boolean);
  if (select && rows.some((row) => row.hidden)) {
    select.value = "";
    filter();
  }
  for (const row of rows) row.classList.add("marked");
}

document.addEventListener("click", (event) => {
  const link = event.target.closest("a[data-trials]");
  if (link) mark(link.dataset.trials.split(" "));
});
