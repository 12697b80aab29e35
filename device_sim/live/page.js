"use strict";
const activities = JSON.parse(document.body.dataset.activities);
const known = new Map(activities.map((activity) => [activity.label, activity]));
const place = (id) => document.getElementById(id);
const name = (label) => (known.has(label) ? known.get(label).name : label);
const seconds = (s) => `${s.toFixed(1)} s`;
const micro = (us) => (us < 1000 ? `${us.toFixed(0)} µs` : `${(us / 1000).toFixed(2)} ms`);

function cell(row, text, classes) {
  const made = row.appendChild(document.createElement(row.childElementCount ? "td" : "th"));
  made.textContent = text;
  if (classes) made.className = classes;
  if (made.tagName === "TH") made.scope = "row";
  return made;
}

function fill(id, rows, build) {
  const body = place(id).tBodies[0];
  body.replaceChildren(...rows.map((row) => {
    const line = document.createElement("tr");
    build(line, row);
    return line;
  }));
}

function showProbabilities(view) {
  fill("probabilities", view.probabilities.map((p, i) => [view.labels[i], p]), (line, [label, p]) => {
    cell(line, name(label));
    cell(line, `${(100 * p).toFixed(1)} %`, "n");
    const bar = cell(line, "").appendChild(document.createElement("div"));
    bar.className = "bar";
    bar.style.width = `${100 * p}%`;
    bar.style.background = known.get(label)?.colour ?? "gray";
  });
}

function showWaves(view) {
  const waves = place("waves");
  while (waves.childElementCount < view.channels.length) {
    const figure = waves.appendChild(document.createElement("figure"));
    figure.appendChild(document.createElement("canvas"));
    figure.appendChild(document.createElement("figcaption"));
  }
  view.wave.forEach((values, i) => {
    const [canvas, caption] = waves.children[i].children;
    const low = Math.min(...values), high = Math.max(...values);
    caption.textContent = `${view.channels[i]}: ${low.toFixed(2)} to ${high.toFixed(2)}`;
    const scale = window.devicePixelRatio || 1, width = canvas.clientWidth, height = canvas.clientHeight;
    canvas.width = width * scale;
    canvas.height = height * scale;
    const pen = canvas.getContext("2d");
    pen.scale(scale, scale);
    pen.strokeStyle = getComputedStyle(document.documentElement).getPropertyValue("--accent");
    pen.lineWidth = 1.2;
    pen.beginPath();
    values.forEach((value, k) => {
      const x = (width * k) / Math.max(1, values.length - 1);
      const y = height - 6 - ((height - 12) * (value - low)) / (high - low || 1);
      k ? pen.lineTo(x, y) : pen.moveTo(x, y);
    });
    pen.stroke();
  });
  const shown = view.wave.length ? view.wave[0].length / view.rate_hz : 0;
  place("wave-lead").textContent = `The last ${shown.toFixed(1)} s as the device took them, each between its own least and greatest.`;
}

function show(view) {
  place("where").textContent = `${view.bundle} on ${view.engine}, from ${view.source}${view.ended ? ": ended" : ""}`;
  const now = view.activity === null ? "Waiting for the first decision" : name(view.activity);
  if (place("now").textContent !== now) place("now").textContent = now; // read aloud only when it changes
  place("since").textContent = view.since_s === null ? "" : `for ${seconds(view.time_s - view.since_s)}`;
  showProbabilities(view);
  showWaves(view);
  fill("events", [...view.events].reverse(), (line, [label, start, end]) => {
    cell(line, name(label));
    cell(line, seconds(start), "n");
    cell(line, seconds(end), "n");
  });
  fill("latency", Object.entries(view.latency_us), (line, [stage, row]) => {
    cell(line, stage);
    for (const key of ["p50", "p99", "max"]) cell(line, micro(row[key]), "n");
  });
  const counts = Object.entries(view.counts).filter(([key, value]) => value || key === "samples");
  place("counts").textContent = counts.map(([key, value]) => `${value.toLocaleString("en")} ${key.replaceAll("_", " ")}`)
    .concat(`${view.deadline_misses} deadline misses`).join(", ");
  place("trouble").textContent = view.trouble ? `Last bad line: ${view.trouble}` : "";
  document.documentElement.dataset.decisions = view.counts.decisions;
  document.documentElement.dataset.ended = view.ended;
}

const news = new EventSource("/events");
news.onmessage = (message) => {
  const view = JSON.parse(message.data);
  if (!view.counts) return;
  show(view);
  if (view.ended) news.close();
};
news.onerror = () => { document.documentElement.dataset.connected = "no"; };
