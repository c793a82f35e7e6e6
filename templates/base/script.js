"use strict";
// Without this script every table is there and can be read; with it, tables can be sorted, and only wide ones stop the Tab key.
(() => {
  const hint = document.body.dataset.sortable;
  const compare = new Intl.Collator(document.documentElement.lang, { numeric: true }).compare;
  const text = (row, place) => (row.cells[place] ? row.cells[place].textContent.trim() : "");

  // The first number of a cell; NaN where there is none. In a column of percentages a count (3 of 8) stands for its share.
  const value = (words, isShare) => {
    const plain = words.replace(/\u2212/g, "-").replace(/(\d)[,\s](?=\d{3}(?!\d))/g, "$1");
    const found = plain.match(/-?\d+(?:\.\d+)?/g);
    if (!found) return NaN;
    const power = plain.match(/^\D{0,3}?(-?\d+(?:\.\d+)?) × 10\^(-?\d+)/);
    if (power) return Number(power[1]) * 10 ** Number(power[2]);
    const [one, two] = found.map(Number);
    const isCount = isShare && !plain.includes("%") && found.length === 2;
    return isCount ? 100 * Math.min(one, two) / Math.max(one, two) : one;
  };

  // Rows by one column; what has no number stands last in either direction, and equal rows keep their order.
  const sorted = (rows, place, isNumber, sign) => {
    const isShare = rows.some((row) => text(row, place).includes("%"));
    const keys = new Map(rows.map((row) => [row, isNumber ? value(text(row, place), isShare) : text(row, place)]));
    return [...rows].sort((a, b) => {
      const [x, y] = [keys.get(a), keys.get(b)];
      if (!isNumber) return sign * compare(x, y);
      if (Number.isNaN(x) || Number.isNaN(y)) return Number.isNaN(x) - Number.isNaN(y);
      return sign * (x - y);
    });
  };

  const makeSortable = (table) => {
    const body = table.tBodies[0];
    const rows = [...body.rows];
    const heads = [...table.tHead.rows[0].cells];
    heads.forEach((head, place) => {
      const button = document.createElement("button");
      button.type = "button";
      button.append(...head.childNodes);
      head.append(button);
      button.addEventListener("click", () => {
        const next = { ascending: "descending", descending: null }[head.ariaSort];
        const order = next === undefined ? "ascending" : next;
        heads.forEach((other) => { other.ariaSort = null; });
        head.ariaSort = order;
        const sign = order === "descending" ? -1 : 1;
        body.append(...(order ? sorted(rows, place, head.classList.contains("number"), sign) : rows));
      });
    });
    const told = document.createElement("span");
    told.className = "unseen";
    told.textContent = ` ${hint}`;
    table.caption.append(told);
  };

  document.querySelectorAll("table.data:not(.ticks)").forEach((table) => {
    if (table.tHead && table.tBodies[0].rows.length > 1) makeSortable(table);
  });

  const boxes = document.querySelectorAll(".table-box");
  const stop = () => boxes.forEach((box) => {
    if (box.scrollWidth > box.clientWidth) box.tabIndex = 0;
    else box.removeAttribute("tabindex");
  });
  new ResizeObserver(stop).observe(document.body);
  document.addEventListener("toggle", stop, true);
})();
