// Draws the table of a figure as a chart. The table is the data and stays: without this, or without uPlot,
// it is what there is to see. uPlot is fetched when a page has a chart.
(function () {
  "use strict";

  const library = document.currentScript.dataset.library;
  let loaded;

  function load() {
    loaded = loaded || new Promise((resolve, reject) => {
      const s = document.createElement("script");
      s.src = library;
      s.onload = resolve;
      s.onerror = reject;
      document.head.append(s);
    });
    return loaded;
  }

  // A table that somebody opened stays open when the part is fetched again.
  const opened = new Set();
  const titleOf = (figure) => figure.querySelector("figcaption").textContent;
  document.addEventListener("toggle", (event) => {
    const figure = event.target instanceof Element && event.target.closest("[data-chart]");
    if (!figure || !figure.querySelector(".uplot")) return;
    if (event.target.open) opened.add(titleOf(figure));
    else opened.delete(titleOf(figure));
  }, true);

  const drawn = new WeakMap(); // how to end the drawing of a figure

  // color is a colour of the theme as a canvas understands it.
  function color(name) {
    const probe = document.createElement("span");
    probe.hidden = true;
    probe.style.color = "var(" + name + ")";
    document.body.append(probe);
    const resolved = getComputedStyle(probe).color;
    probe.remove();
    return resolved;
  }
  const tones = { ok: "--ok", warn: "--warn", bad: "--bad", held: "--held", accent: "--accent", idle: "--faint" };

  // read takes the columns of numbers, and the rows with a note, from the table.
  function read(table) {
    const heads = Array.from(table.tHead.rows[0].cells).slice(1).filter((c) => c.dataset.tone);
    const rows = Array.from(table.tBodies[0].rows);
    const data = [rows.map((r) => Number(r.dataset.at))];
    for (const h of heads) data.push(rows.map((r) => {
      const text = r.cells[h.cellIndex].dataset.value;
      return text === "" ? null : Number(text);
    }));
    const notes = rows.filter((r) => r.dataset.note).map((r) => Number(r.dataset.at));
    return { heads, data, notes };
  }

  // mark draws a line at each note.
  function mark(notes) {
    return {
      hooks: {
        draw: (u) => {
          u.ctx.save();
          u.ctx.strokeStyle = color("--held");
          u.ctx.setLineDash([4, 4]);
          for (const at of notes) {
            const x = Math.round(u.valToPos(at, "x", true));
            u.ctx.beginPath();
            u.ctx.moveTo(x, u.bbox.top);
            u.ctx.lineTo(x, u.bbox.top + u.bbox.height);
            u.ctx.stroke();
          }
          u.ctx.restore();
        },
      },
    };
  }

  // clock writes times in UTC, days where the steps are as long.
  function clock(u, times, axis, space, step) {
    return times.map((t) => {
      const iso = new Date(t * 1000).toISOString();
      return step >= 86400 ? iso.slice(5, 10) : iso.slice(11, 16);
    });
  }

  function draw(figure) {
    const place = figure.querySelector("[data-chart-place]");
    const { heads, data, notes } = read(figure.querySelector("table"));
    const axis = { stroke: color("--muted"), grid: { stroke: color("--line"), width: 1 }, ticks: { show: false }, font: "11px system-ui" };
    const chart = new window.uPlot({
      width: place.clientWidth || 600, height: 200, plugins: [mark(notes)], legend: { show: true },
      tzDate: (t) => window.uPlot.tzDate(new Date(t * 1000), "Etc/UTC"),
      axes: [Object.assign({ values: clock, size: 34 }, axis), Object.assign({ size: 56 }, axis)],
      scales: { y: { range: (u, low, high) => [0, Math.max(1, high * 1.05)] } },
      series: [{ label: "UTC", value: "{YYYY}-{MM}-{DD} {HH}:{mm}" }].concat(heads.map((h, i) => ({
        label: h.textContent.trim(), stroke: color(tones[h.dataset.tone]), width: 1.5, spanGaps: true,
        points: { show: data[i + 1].filter((v) => v !== null).length < 4 },
      }))),
    }, data, place);
    figure.querySelector("details").open = opened.has(titleOf(figure));
    const observer = new ResizeObserver(() => {
      if (!place.isConnected) observer.disconnect();
      else if (place.clientWidth) chart.setSize({ width: place.clientWidth, height: 200 });
    });
    observer.observe(place);
    drawn.set(figure, () => { observer.disconnect(); chart.destroy(); });
  }

  // The page may settle again while uPlot is fetched: which figures are not drawn is asked when it is there.
  const undrawn = () => Array.from(document.querySelectorAll("[data-chart]")).filter((f) => !f.querySelector(".uplot"));
  function drawAll() {
    if (undrawn().length > 0) load().then(() => undrawn().forEach(draw), () => {});
  }
  // The colours are in the drawing, so that another theme needs another one.
  function redraw() {
    for (const figure of document.querySelectorAll("[data-chart]")) {
      const end = drawn.get(figure);
      if (end) end();
      drawn.delete(figure);
    }
    drawAll();
  }
  new MutationObserver(redraw).observe(document.documentElement, { attributeFilter: ["data-theme"] });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
  document.addEventListener("DOMContentLoaded", drawAll);
  document.addEventListener("htmx:afterSettle", drawAll);
})();
