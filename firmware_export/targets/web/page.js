"use strict";

const DECIDED = 2; // what page_push() and page_next() return with a decision
const EVENT_ACTIVITY = 1;
const COUNTS = ["late", "duplicate", "interpolated", "breaks", "invalid"];
const TICK_MS = 50; // of a replay

const data = JSON.parse(document.getElementById("data").textContent);
const bytesOf = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
const element = (id) => document.getElementById(id);

/* The firmware: samples in, decisions out. */
class Firmware {
  constructor(instance) {
    this.calls = instance.exports;
    this.view = new DataView(this.calls.memory.buffer);
    this.reset();
  }

  reset() {
    const status = this.calls.page_reset();
    if (status !== 0) throw new Error(`the firmware refuses to begin: status ${status}`);
  }

  /* A sample at the steady rate; whether it brought a decision. */
  push(sample, ms) {
    this.put(sample);
    return this.calls.page_push(ms) === DECIDED;
  }

  /* A sample with its stamp; decided() is called after each decision that it brings. */
  feed(sample, us, decided) {
    this.put(sample);
    this.calls.page_feed(us);
    const ms = Math.round(us / 1000);
    for (let found = this.calls.page_next(ms); found !== 0; found = this.calls.page_next(ms)) {
      if (found === DECIDED) decided();
    }
  }

  put(sample) {
    const begin = this.calls.page_sample.value;
    sample.forEach((value, i) => this.view.setFloat32(begin + 4 * i, value, true));
  }

  logits(head) {
    const begin = this.calls.page_decision() + head.logits;
    return new Int8Array(this.calls.memory.buffer, begin, head.labels.length).slice();
  }

  probabilities(head) {
    const begin = this.calls.page_decision() + head.probability;
    return head.labels.map((_, i) => this.view.getFloat32(begin + 4 * i, true));
  }

  /* The event that came with the last sample, or null. */
  event() {
    const begin = this.calls.page_event.value;
    if (this.view.getUint8(begin + data.event.kind) !== EVENT_ACTIVITY) return null;
    const label = this.view.getInt16(begin + data.event.label, true);
    return { label: data.event_labels[label], ms: this.view.getUint32(begin + data.event.start_ms, true) };
  }

  counts() {
    const begin = this.calls.page_counts.value;
    return COUNTS.map((_, i) => this.view.getUint32(begin + 4 * i, true));
  }
}

const recording = new Float32Array(bytesOf(data.samples).buffer);
const recorded = (t) => recording.subarray(t * data.channels.length, (t + 1) * data.channels.length);
const length = recording.length / data.channels.length;

/* The logits of every decision in the recording, head by head. */
function logitsOfRecording(firmware) {
  const found = data.heads.map(() => []);
  firmware.reset();
  for (let t = 0; t < length; t++) {
    if (firmware.push(recorded(t), t)) data.heads.forEach((head, i) => found[i].push(...firmware.logits(head)));
  }
  firmware.reset();
  return found;
}

/* How many of the recording's logits are not the expected ones. */
function differences(found) {
  return found.reduce((sum, each, i) => {
    const expected = new Int8Array(bytesOf(data.logits[i]).buffer);
    const apart = each.filter((value, k) => value !== expected[k]).length;
    return sum + apart + Math.abs(each.length - expected.length);
  }, 0);
}

function drawHeads() {
  for (const head of data.heads) {
    const title = document.createElement("h2");
    title.textContent = head.name;
    element("heads").append(title);
    head.bars = head.labels.map((label) => {
      const [row, name, track, bar] = [1, 2, 3, 4].map(() => document.createElement("div"));
      row.className = "row";
      track.className = "track";
      bar.className = "bar";
      name.textContent = label;
      track.append(bar);
      row.append(name, track);
      element("heads").append(row);
      return bar;
    });
  }
}

function showDecision(firmware) {
  for (const head of data.heads) {
    firmware.probabilities(head).forEach((value, i) => { head.bars[i].style.width = `${100 * value}%`; });
  }
  const event = firmware.event();
  if (event) {
    element("now").textContent = event.label;
    const line = document.createElement("li");
    line.textContent = `${event.label} from ${(event.ms / 1000).toFixed(1)} s`;
    element("events").prepend(line);
  }
  element("counts").textContent = COUNTS.map((name, i) => `${name} ${firmware.counts()[i]}`).join(", ");
}

/* Axes of both sensors are the phone's: x to the right of its screen, y to its top, z out of it. W3C's rotationRate has
 * x, y, z as alpha, beta, gamma (w3c/deviceorientation, issue 44). */
function sampleOf(motion) {
  const acceleration = motion.accelerationIncludingGravity || {};
  const rotation = motion.rotationRate || {};
  const axes = { x: "alpha", y: "beta", z: "gamma" };
  const sign = element("inverted").checked ? -1 : 1;
  return data.channels.map((channel) => {
    const value = channel.sensor === "acc" ? acceleration[channel.axis] : rotation[axes[channel.axis]];
    if (value === null || value === undefined) return NaN; // the firmware takes the last good one
    return value * channel.factor * (channel.sensor === "acc" ? sign : 1);
  });
}

function start(instance) {
  const firmware = new Firmware(instance);
  const found = logitsOfRecording(firmware);
  const wrong = differences(found);
  const windows = found[0].length / data.heads[0].labels.length;
  element("check").className = wrong ? "bad" : "good";
  element("check").textContent = wrong
    ? `${wrong} logits of the recording are not the expected ones: do not trust this page in this browser`
    : `checked: the logits of all ${windows} windows of the recording are the expected ones, bit for bit`;
  drawHeads();

  let stop = () => {};
  const begin = () => {
    stop();
    firmware.reset();
    element("now").textContent = "–";
    element("events").replaceChildren();
  };
  element("replay").addEventListener("click", () => {
    begin();
    let t = 0;
    const timer = setInterval(() => {
      const count = Math.round(Number(element("speed").value) * data.rate_hz * TICK_MS / 1000) || 1;
      for (const end = Math.min(t + count, length); t < end; t++) {
        if (firmware.push(recorded(t), Math.round(1000 * t / data.rate_hz))) showDecision(firmware);
      }
      if (t >= length) stop();
    }, TICK_MS);
    stop = () => clearInterval(timer);
  });

  const missing = data.channels.filter((channel) => channel.sensor === null).map((channel) => channel.name);
  const asks = typeof DeviceMotionEvent !== "undefined" && typeof DeviceMotionEvent.requestPermission === "function";
  const tablet = navigator.platform === "MacIntel" && navigator.maxTouchPoints > 1; // an iPad calls itself a Mac
  element("inverted").checked = tablet || /iPhone|iPad|iPod/.test(navigator.userAgent);
  if (missing.length) {
    element("sensors").disabled = true;
    element("measured").textContent = `a browser has no sensor for ${missing.join(", ")}`;
  }
  let first = null;
  const onMotion = (motion) => {
    if (first === null) first = motion.timeStamp;
    const sample = sampleOf(motion);
    const us = Math.round(1000 * (motion.timeStamp - first)) >>> 0;
    firmware.feed(sample, us, () => showDecision(firmware));
    element("measured").textContent = data.channels
      .map((channel, i) => `${channel.name} ${sample[i].toFixed(2)} ${channel.unit}`).join(", ");
  };
  element("sensors").addEventListener("click", async () => {
    if (asks && (await DeviceMotionEvent.requestPermission()) !== "granted") {
      element("measured").textContent = "the browser was not allowed to use the sensors";
      return;
    }
    begin();
    first = null;
    element("measured").textContent = "waiting for the sensors; browsers give them to pages from https:// alone";
    window.addEventListener("devicemotion", onMotion);
    stop = () => window.removeEventListener("devicemotion", onMotion);
  });
  window.edgehar = { firmware, found, wrong, recorded, length, sampleOf, onMotion };
}

const module = bytesOf(data.module);
try {
  start(new WebAssembly.Instance(new WebAssembly.Module(module)));
} catch (error) {
  if (!(error instanceof RangeError)) throw error; // some browsers compile large modules in the background alone
  WebAssembly.instantiate(module).then((result) => start(result.instance));
}
