// Tables that sort by a tap on their header, and the button that prints.

for (const button of document.querySelectorAll("[data-print]")) {
  button.hidden = false;
  button.addEventListener("click", () => print());
}

// A number where the cell begins with one, with seconds for what has minutes before them; else its text.
function value(cell) {
  const text = cell.textContent.trim();
  if (text === "–" || text === "") return -Infinity;
  const clock = text.match(/^(\d+):(\d\d)$/);
  if (clock) return clock[1] * 60 + +clock[2];
  const number = text.match(/^[<>+ ]*(-?\d+(?:\.\d+)?)(?! *[:–-]\d)/);
  if (!number) return text;
  const minutes = text.match(/^(\d+) (?:min|分)/), hours = text.match(/^(\d+) (?:h|小时)/), rest = text.match(/(\d+) (?:s|秒|min|分)$/);
  if (hours) return hours[1] * 3600 + (rest ? rest[1] * 60 : 0);
  if (minutes) return minutes[1] * 60 + (rest ? +rest[1] : 0);
  return +number[1];
}

function compare(a, b) {
  if (typeof a === typeof b) return typeof a === "number" ? a - b || 0 : a.localeCompare(b);
  return typeof a === "number" ? -1 : 1;
}

for (const table of document.querySelectorAll("table[data-sort]")) {
  for (const header of table.querySelectorAll("thead th:not([data-fixed])")) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "sort";
    button.append(...header.childNodes);
    header.append(button);
    button.addEventListener("click", () => {
      const descending = header.ariaSort !== "descending", body = table.tBodies[0];
      for (const other of table.querySelectorAll("thead th")) other.removeAttribute("aria-sort");
      header.ariaSort = descending ? "descending" : "ascending";
      const rows = [...body.rows].map((row) => [value(row.cells[header.cellIndex]), row]);
      rows.sort(([a], [b]) => (descending ? compare(b, a) : compare(a, b)));
      body.append(...rows.map(([, row]) => row));
    });
  }
}
