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

// A region that is wider than the page names what it hides, because scroll bars may be invisible.
for (const region of document.querySelectorAll(".scroll")) {
  const more = document.createElement("p");
  more.className = "more";
  region.before(more);
  const update = () => {
    const hidden = hiddenParts(region);
    more.hidden = !hidden;
    if (more.textContent !== hidden) more.textContent = hidden;
  };
  region.addEventListener("scroll", update, { passive: true });
  new ResizeObserver(update).observe(region);
}
addEventListener("beforeprint", () => {
  for (const folded of document.querySelectorAll("details")) folded.open = true;
});

function hiddenParts(region) {
  if (region.scrollWidth <= region.clientWidth + 1) return "";
  const { left, right } = region.getBoundingClientRect();
  const headings = [...(region.querySelector("thead tr")?.cells ?? [])].map((cell) => cell.getBoundingClientRect());
  const columns = (number) => `${number} more column${number === 1 ? "" : "s"}`;
  const after = headings.filter((cell) => cell.right > right + 8).length;
  const before = headings.slice(1).filter((cell) => cell.left < left + headings[0].width * (headings[0].left >= left) - 8).length;
  const parts = [before ? `\u2190 ${columns(before)}` : "", after ? `${columns(after)} \u2192` : ""];
  if (headings.length) return parts.filter(Boolean).join("  ");
  return region.scrollLeft + region.clientWidth < region.scrollWidth - 1 ? "scroll sideways \u2192" : "\u2190 scroll sideways";
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
const columns = [...document.querySelectorAll("[data-column]")];

function filter() {
  const wanted = select.value;
  for (const row of filtered) row.hidden = wanted !== "" && wanted !== `=${row.dataset.architecture}`;
  for (const cell of columns) cell.hidden = wanted !== "" && wanted !== `=${cell.dataset.column}`;
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
