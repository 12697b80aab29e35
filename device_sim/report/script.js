"use strict";
// What a test can read: script "ready" when everything below ran, how many errors, how far the page overflows.
const page = document.documentElement;
page.classList.add("js");
page.dataset.errors = "0";
addEventListener("error", (event) => {
  page.dataset.errors = String(Number(page.dataset.errors) + 1);
  page.dataset.error = String(event.message);
});
addEventListener("unhandledrejection", () => { page.dataset.errors = String(Number(page.dataset.errors) + 1); });

function measureOverflow() {
  page.dataset.overflow = String(page.scrollWidth - page.clientWidth);
}

function expand(runs) {
  const values = [];
  for (let i = 0; i < runs.length; i += 2) for (let n = 0; n < runs[i + 1]; n += 1) values.push(runs[i]);
  return values;
}

function clockTime(seconds) {
  const tenths = Math.round(seconds * 10);
  const hours = Math.floor(tenths / 36000), minutes = Math.floor(tenths / 600) % 60;
  const rest = (tenths % 600) / 10;
  const start = hours ? `${hours}:${String(minutes).padStart(2, "0")}` : String(minutes);
  return `${start}:${rest < 10 ? "0" : ""}${rest.toFixed(1)}`;
}

function startTimelines() {
  const source = document.getElementById("data");
  if (!source) return;
  const data = JSON.parse(source.textContent);
  const figures = [...document.querySelectorAll(".recording")];
  const section = document.getElementById("timeline");
  const select = document.getElementById("recording");
  const tip = document.createElement("div");
  tip.id = "tip";
  tip.setAttribute("role", "status");
  document.body.append(tip);

  const decoded = new Map();
  function points(index) {
    if (!decoded.has(index)) {
      const packed = data.recordings[index];
      let now = 0;
      const times = expand(packed.t).map((step) => (now += step) / 1000);
      decoded.set(index, { times, device: expand(packed.d), truth: expand(packed.y), sure: packed.p,
        baseline: packed.b && expand(packed.b), labelled: packed.labelled });
    }
    return decoded.get(index);
  }

  let current = figures.findIndex((figure) => figure.classList.contains("open"));
  let zoom = 1;
  let at = -1;
  const name = (label) => (label < 0 ? "none" : data.names[label]);
  const isWrong = (p, i) => p.truth[i] >= 0 && p.truth[i] !== p.device[i];

  function drawAxis(figure) {
    const svg = figure.querySelector(".timeline"), axis = figure.querySelector(".axis");
    const duration = Number(figure.dataset.duration), width = svg.getBoundingClientRect().width;
    if (!width) return;
    const step = data.steps.find((s) => duration / s <= width / 80) || duration;
    axis.replaceChildren();
    for (let k = 0; k * step < duration * (1 - 45 / width); k += 1) {
      const x = `${(100 * k * step) / duration}%`;
      const mark = document.createElementNS(svg.namespaceURI, "line");
      const tick = document.createElementNS(svg.namespaceURI, "text");
      for (const [name, value] of [["x1", x], ["x2", x], ["y1", data.tickY], ["y2", data.tickY + 5]]) {
        mark.setAttribute(name, value);
      }
      tick.setAttribute("x", x);
      tick.setAttribute("y", data.axisY);
      tick.textContent = clockTime(k * step).replace(/\.0$/, "");
      axis.append(mark, tick);
    }
  }

  function line(label, value) {
    const row = document.createElement("div");
    row.textContent = `${label}: ${value}`;
    return row;
  }

  function hide() {
    at = -1;
    tip.classList.remove("on");
    figures[current].classList.remove("pointed");
  }

  function point(index, scrollTo) {
    const p = points(current), figure = figures[current];
    at = Math.max(0, Math.min(p.times.length - 1, index));
    const svg = figure.querySelector(".timeline"), cursor = figure.querySelector(".cursor");
    const share = p.times[at] / Number(figure.dataset.duration);
    cursor.setAttribute("x1", `${100 * share}%`);
    cursor.setAttribute("x2", `${100 * share}%`);
    figure.classList.add("pointed");
    const scroller = svg.closest(".scroll");
    if (scrollTo) {
      const x = share * svg.getBoundingClientRect().width;
      if (x < scroller.scrollLeft + 24 || x > scroller.scrollLeft + scroller.clientWidth - 24) {
        scroller.scrollLeft = x - scroller.clientWidth / 2;
      }
    }
    const heading = document.createElement("b");
    heading.textContent = clockTime(p.times[at]) + (isWrong(p, at) ? " · wrong" : "");
    const truth = p.truth[at] >= 0 ? name(p.truth[at]) : p.labelled ? "mixed or unlabelled, not scored" : "no labels";
    const lines = [heading, line("Truth", truth), line("Device", `${name(p.device[at])}, ${p.sure[at]} %`)];
    if (p.baseline) lines.push(line("Baseline", name(p.baseline[at])));
    tip.replaceChildren(...lines);
    tip.classList.add("on");
    const box = svg.getBoundingClientRect(), size = tip.getBoundingClientRect();
    const left = Math.max(8, Math.min(innerWidth - size.width - 8, box.left + share * box.width + 14));
    const above = box.top - size.height - 8;
    tip.style.transform = `translate(${left}px, ${above > 8 ? above : box.bottom + 8}px)`;
  }

  function nearest(seconds) {
    const times = points(current).times;
    let low = 0, high = times.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (times[middle] <= seconds) low = middle + 1; else high = middle;
    }
    return low - 1;
  }

  function jump(direction) {
    const p = points(current);
    let i = at < 0 ? (direction > 0 ? -1 : p.times.length) : at;
    const last = i;
    // Errors in a row are one stretch: leave the one we are in, then stop at the next stretch's first.
    const stretch = (k) => isWrong(p, k) && !isWrong(p, k - 1);
    for (i += direction; i >= 0 && i < p.times.length; i += direction) if (stretch(i)) return point(i, true);
    return last >= 0 && last < p.times.length ? point(last, true) : undefined;
  }

  function open(index) {
    hide();
    figures[current].classList.remove("open");
    current = Math.max(0, Math.min(figures.length - 1, index));
    figures[current].classList.add("open");
    select.value = String(current);
    section.querySelector("[data-step='-1']").disabled = current === 0;
    section.querySelector("[data-step='1']").disabled = current === figures.length - 1;
    const p = points(current), wrong = p.device.some((_, i) => isWrong(p, i));
    section.querySelectorAll("[data-error]").forEach((button) => { button.disabled = !wrong; });
    drawAxis(figures[current]);
  }

  function setZoom(value) {
    const scroller = figures[current].querySelector(".scroll");
    const middle = (scroller.scrollLeft + scroller.clientWidth / 2) / scroller.scrollWidth;
    section.classList.remove(`zoom-${zoom}`);
    zoom = value;
    section.classList.add(`zoom-${zoom}`);
    section.querySelectorAll("[data-zoom]").forEach((button) => {
      button.setAttribute("aria-pressed", String(Number(button.dataset.zoom) === zoom));
    });
    drawAxis(figures[current]);
    const kept = at;
    hide();
    scroller.scrollLeft = middle * scroller.scrollWidth - scroller.clientWidth / 2;
    if (kept >= 0) point(kept, true);
  }

  select.addEventListener("change", () => open(Number(select.value)));
  section.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (!button) return;
    if (button.dataset.step) open(current + Number(button.dataset.step));
    if (button.dataset.zoom) setZoom(Number(button.dataset.zoom));
    if (button.dataset.error) {
      const kept = at;
      figures[current].querySelector(".timeline").focus({ preventScroll: true });
      at = kept;
      jump(Number(button.dataset.error));
    }
  });
  figures.forEach((figure) => {
    const svg = figure.querySelector(".timeline");
    svg.addEventListener("pointermove", (event) => {
      const box = svg.getBoundingClientRect();
      const i = nearest(((event.clientX - box.left) / box.width) * Number(figure.dataset.duration));
      if (i < 0) hide(); else point(i, false);
    });
    svg.addEventListener("pointerleave", hide);
    svg.addEventListener("blur", hide);
    svg.addEventListener("keydown", (event) => {
      const last = points(current).times.length - 1;
      const moves = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: last };
      if (event.key in moves) point(moves[event.key], true);
      else if (event.key === "e") jump(1);
      else if (event.key === "E") jump(-1);
      else if (event.key === "Escape") hide();
      else return;
      event.preventDefault();
    });
    figure.querySelector(".scroll").addEventListener("scroll", () => {
      if (document.activeElement !== svg) hide();
    });
  });
  addEventListener("resize", () => drawAxis(figures[current]));
  open(current);
}

startTimelines();
measureOverflow();
addEventListener("resize", measureOverflow);
page.dataset.script = "ready";
