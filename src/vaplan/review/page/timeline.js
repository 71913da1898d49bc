// The lanes below the video: a canvas for what is only shown, elements for the events.

import { audiovisual, describe, round, snapped } from "./model.js";
import { textElement } from "./list.js";

const RULER = 24;
const WAVE = 52;
const SPECTROGRAM = 76;
const GROUP = 24;
const LANE = 30;
const CURVE = 24;
const STRIPE = 7; // of another method
const DERIVED = 16;
const EDGE = 7; // pixels at the end of an event that move this end alone
const CLOSE = 3; // pixels; a shorter movement of the mouse is a click
const PEAKS_HZ = 50;
const MOST_ZOOM = 240; // pixels a second
const FEWEST_PIXELS = 64; // between two times of the ruler
const TICKS = [0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 120, 300, 600, 1800, 3600];

export class Timeline {
  // Callbacks: onSeek(time), onSelect(id), onDraw(lane, onset, offset), onMove(id, onset, offset).
  constructor(parts, callbacks) {
    this.parts = parts;
    this.callbacks = callbacks;
    this.elements = new Map();
    this.zoom = 0;
    this.time = 0;
    this.drag = null;
    this.reset();
    this.parts.scroller.addEventListener("scroll", () => this.draw());
    this.parts.scroller.addEventListener("wheel", (event) => this.onWheel(event), { passive: false });
    new ResizeObserver(() => this.draw()).observe(this.parts.scroller);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.draw());
    const { view } = this.parts;
    view.addEventListener("pointerdown", (event) => this.onDown(event));
    view.addEventListener("pointermove", (event) => this.onPointerMove(event));
    view.addEventListener("pointerup", (event) => this.onUp(event));
    view.addEventListener("pointercancel", () => this.cancelDrag());
  }

  reset() {
    this.video = null;
    this.events = [];
    this.peaks = null; // levels from 0 to 255
    this.loudest = 1;
    this.spectrogram = null;
    this.spectrogramText = ""; // of its row; empty without one
    this.scores = null;
    this.methods = new Set();
    this.allClasses = [];
    this.selected = null;
    this.rows = [];
    this.height = 0;
    this.parts.events.replaceChildren();
    this.elements.clear();
  }

  setPeaks(peaks) {
    this.peaks = peaks;
    this.loudest = peaks.reduce((a, b) => Math.max(a, b), 1);
  }

  get seconds() {
    const ends = this.events.map((event) => event.offset);
    return Math.max(this.video?.seconds ?? 0, ...ends, 1);
  }

  get width() {
    return this.parts.scroller.clientWidth || 1;
  }

  get fit() {
    return this.width / this.seconds;
  }

  // Pixels a second: from the whole video to a quarter of a second in 60 pixels.
  get scale() {
    const most = Math.max(MOST_ZOOM, this.fit);
    return this.fit * (most / this.fit) ** (this.zoom / 100);
  }

  get start() {
    return this.parts.scroller.scrollLeft / this.scale;
  }

  x(time) {
    return (time - this.start) * this.scale;
  }

  setZoom(zoom, time = this.time) {
    const place = this.x(time);
    const target = place >= 0 && place <= this.width ? place : this.width / 2;
    this.zoom = zoom;
    this.resize();
    this.parts.scroller.scrollLeft = time * this.scale - target;
    this.draw();
  }

  resize() {
    this.parts.spacer.style.width = `${Math.max(this.width, this.seconds * this.scale)}px`;
  }

  show(time) {
    const margin = this.width * 0.1;
    const place = this.x(time);
    if (place < 0 || place > this.width - 2) {
      this.parts.scroller.scrollLeft = time * this.scale - margin;
    }
  }

  setTime(time) {
    this.time = time;
    this.parts.playhead.style.transform = `translateX(${this.x(time)}px)`;
  }

  // Compute the rows: a ruler, then the lanes of each group.
  arrange() {
    this.rows = [{ kind: "ruler", height: RULER }];
    for (const modality of ["audio", "visual"]) {
      const text = modality === "audio" ? "Audio" : "Visual";
      this.rows.push({ kind: "group", modality, height: GROUP, text });
      if (modality === "audio" && this.video?.has_audio) {
        this.rows.push({ kind: "wave", height: WAVE, text: "waveform" });
        const progress = this.spectrogramText;
        if (progress) this.rows.push({ kind: "spectrogram", height: SPECTROGRAM, text: progress });
      }
      for (const name of this.classesOf(modality)) {
        this.rows.push({ kind: "lane", modality, name, text: name, height: this.laneHeight(name, modality) });
      }
    }
    const both = [...new Set(audiovisual(this.events).map((span) => span.class))];
    if (both.length) this.rows.push({ kind: "group", height: GROUP, text: "Audio-visual" });
    for (const name of both) this.rows.push({ kind: "both", name, text: name, height: DERIVED });
    let top = 0;
    for (const row of this.rows) {
      row.top = top;
      top += row.height;
    }
    this.height = top + 8;
  }

  classesOf(modality) {
    const names = new Set(this.video?.tags ?? []);
    const shown = this.shownMethods().flatMap((lane) => lane.events);
    for (const event of [...this.events, ...shown]) {
      if (event.modality === modality) names.add(event.class);
    }
    for (const name of this.allClasses) names.add(name);
    return [...names].sort((a, b) => a.localeCompare(b));
  }

  shownMethods() {
    return (this.video?.lanes ?? []).filter((lane) => this.methods.has(lane.method));
  }

  hasCurve(name) {
    return this.scores?.classes.includes(name) ?? false;
  }

  laneHeight(name) {
    const curve = this.hasCurve(name) ? CURVE : 0;
    return LANE + curve + STRIPE * this.shownMethods().length;
  }

  update() {
    this.arrange();
    this.resize();
    const labels = this.rows.map((row) => {
      const label = textElement("div", row.text ?? "", `label ${row.kind}`);
      label.style.top = `${row.top}px`;
      label.style.height = `${row.height}px`;
      label.title = row.text ?? "";
      label.dir = "auto";
      return label;
    });
    this.parts.labels.replaceChildren(...labels);
    for (const part of ["labels", "view", "spacer"]) {
      this.parts[part].style.height = `${this.height}px`;
    }
    this.draw();
  }

  draw() {
    if (!this.video) {
      const { canvas } = this.parts;
      canvas.width = 0;
      return;
    }
    this.drawCanvas();
    this.drawEvents();
    this.setTime(this.time);
  }

  drawEvents() {
    const rowOf = new Map(this.rows.map((row) => [`${row.modality}:${row.name}`, row]));
    const end = this.start + this.width / this.scale;
    const margin = this.width / this.scale;
    const visible = new Set();
    for (const event of this.events) {
      const isNear = event.offset > this.start - margin && event.onset < end + margin;
      const row = rowOf.get(`${event.modality}:${event.class}`);
      if (!row || !(isNear || event.id === this.selected)) continue;
      visible.add(event.id);
      this.place(event, row);
    }
    for (const [id, element] of this.elements) {
      if (visible.has(id)) continue;
      element.remove();
      this.elements.delete(id);
    }
  }

  place(event, row) {
    let element = this.elements.get(event.id);
    if (!element) {
      element = document.createElement("div");
      element.dataset.id = event.id;
      element.tabIndex = 0;
      element.setAttribute("role", "button");
      element.append(textElement("span", "", "event-text"));
      element.addEventListener("focus", () => this.callbacks.onSelect(event.id));
      this.elements.set(event.id, element);
      this.parts.events.append(element);
    }
    const drag = this.drag?.id === event.id ? this.drag : event;
    const width = Math.max(3, (drag.offset - drag.onset) * this.scale);
    const isSelected = event.id === this.selected;
    element.className = `event ${event.modality}${event.score === null ? " checked" : ""}`;
    element.classList.toggle("selected", isSelected);
    element.setAttribute("aria-pressed", String(isSelected));
    element.setAttribute("aria-label", describe(event));
    element.style.transform = `translate(${this.x(drag.onset)}px, ${row.top + 3}px)`;
    element.style.width = `${width}px`;
    const score = event.score === null ? "✓" : event.score.toFixed(2);
    element.firstChild.textContent = width > 34 ? score : "";
    element.title = describe(event);
  }

  drawCanvas() {
    const { canvas, view } = this.parts;
    const ratio = devicePixelRatio || 1;
    view.style.width = `${this.width}px`;
    canvas.width = this.width * ratio;
    canvas.height = this.height * ratio;
    canvas.style.width = `${this.width}px`;
    canvas.style.height = `${this.height}px`;
    const context = canvas.getContext("2d");
    context.scale(ratio, ratio);
    const style = getComputedStyle(document.documentElement);
    const colour = (name) => style.getPropertyValue(`--${name}`);
    const step = TICKS.find((seconds) => seconds * this.scale >= FEWEST_PIXELS) ?? 7200;
    this.drawGrid(context, colour, step);
    for (const row of this.rows) {
      if (row.kind === "wave") this.drawWave(context, colour, row);
      if (row.kind === "spectrogram") this.drawSpectrogram(context, colour, row);
      if (row.kind === "lane") this.drawLane(context, colour, row);
      if (row.kind === "both") this.drawBoth(context, colour, row);
    }
  }

  drawGrid(context, colour, step) {
    const end = Math.min(this.seconds, this.start + this.width / this.scale);
    context.font = "11px system-ui, sans-serif";
    context.textBaseline = "middle";
    for (let tick = Math.floor(this.start / step); tick * step <= end; tick += 1) {
      const x = Math.round(this.x(tick * step)) + 0.5;
      context.fillStyle = colour("grid");
      context.fillRect(x, RULER - 6, 1, this.height);
      context.fillStyle = colour("quiet");
      context.fillText(`${round(tick * step)}`, x + 4, RULER / 2);
    }
    for (const row of this.rows) {
      if (row.kind === "group") {
        context.fillStyle = colour("panel");
        context.fillRect(0, row.top, this.width, row.height);
        this.drawMissing(context, colour, row); // also where no class has a lane
      } else if (row.kind === "lane") {
        context.fillStyle = colour("grid");
        context.fillRect(0, row.top + row.height - 1, this.width, 1);
      }
    }
    const last = this.x(this.seconds);
    context.fillStyle = colour("outside");
    if (last < this.width) context.fillRect(last, 0, this.width - last, this.height);
  }

  drawWave(context, colour, row) {
    const middle = row.top + row.height / 2;
    context.fillStyle = colour("audio");
    if (this.peaks) {
      const perPixel = PEAKS_HZ / this.scale;
      for (let x = 0; x < this.width; x += 1) {
        const from = Math.floor((this.start + x / this.scale) * PEAKS_HZ);
        const to = Math.max(from + 1, Math.floor(from + perPixel));
        let peak = 0;
        for (let at = from; at < to && at < this.peaks.length; at += 1) {
          if (this.peaks[at] > peak) peak = this.peaks[at];
        }
        const size = (peak / this.loudest) * (row.height - 6);
        if (from < this.peaks.length) context.fillRect(x, middle - size / 2, 1, Math.max(1, size));
      }
    }
  }

  drawSpectrogram(context, colour, row) {
    const box = { left: 0, top: row.top + 2, width: this.width, height: row.height - 4 };
    const end = this.start + this.width / this.scale;
    const colours = ["page", "audio", "text"].map(colour);
    this.spectrogram?.draw(context, box, this.start, end, colours);
  }

  drawMissing(context, colour, row) {
    for (const span of this.video.missing) {
      if (span.modality !== row.modality) continue;
      hatch(context, colour("missing"), this.x(span.onset), row.top, this.x(span.offset), row.height, this.width);
    }
  }

  drawLane(context, colour, row) {
    this.drawMissing(context, colour, row);
    let top = row.top + LANE;
    if (this.hasCurve(row.name)) {
      this.drawCurve(context, colour, row, top);
      top += CURVE;
    }
    for (const lane of this.shownMethods()) {
      context.fillStyle = colour(`method-${[...this.methods].indexOf(lane.method) % 3}`);
      for (const event of lane.events) {
        if (event.modality !== row.modality || event.class !== row.name) continue;
        const x = this.x(event.onset);
        context.fillRect(x, top + 1, Math.max(1, this.x(event.offset) - x), STRIPE - 3);
      }
      top += STRIPE;
    }
  }

  drawCurve(context, colour, row, top) {
    const place = this.scores.classes.indexOf(row.name) + 2;
    const { low, high } = this.scores.range;
    context.strokeStyle = colour(row.modality);
    context.lineWidth = 1.25;
    context.beginPath();
    let isFirst = true;
    for (const values of this.scores[row.modality]) {
      if (values[1] < this.start || this.x(values[0]) > this.width) continue;
      const share = (values[place] - low) / (high - low);
      const y = top + (CURVE - 3) * (1 - share) + 1;
      if (isFirst) context.moveTo(this.x(values[0]), y);
      context.lineTo(this.x(values[0]), y);
      context.lineTo(this.x(values[1]), y);
      isFirst = false;
    }
    context.stroke();
  }

  drawBoth(context, colour, row) {
    context.fillStyle = colour("both");
    for (const span of audiovisual(this.events)) {
      if (span.class !== row.name) continue;
      const x = this.x(span.onset);
      context.fillRect(x, row.top + 4, Math.max(2, this.x(span.offset) - x), row.height - 8);
    }
  }

  onWheel(event) {
    if (!event.ctrlKey) return;
    event.preventDefault();
    const place = event.clientX - this.parts.view.getBoundingClientRect().left;
    const time = this.start + place / this.scale;
    const zoom = Math.max(0, Math.min(100, this.zoom - Math.sign(event.deltaY) * 5));
    this.callbacks.onZoom(zoom, time);
  }

  timeAt(event) {
    const left = this.parts.view.getBoundingClientRect().left;
    const time = this.start + (event.clientX - left) / this.scale;
    return Math.max(0, Math.min(this.seconds, time));
  }

  rowAt(event) {
    const y = event.clientY - this.parts.view.getBoundingClientRect().top;
    return this.rows.find((row) => y >= row.top && y < row.top + row.height);
  }

  snapTime(time, event) {
    const isFree = !this.callbacks.isSnapping() || event.altKey;
    return isFree ? round(time) : snapped(time, this.video.segment_seconds);
  }

  onDown(event) {
    if (event.button !== 0 || !this.video) return;
    const time = this.timeAt(event);
    const element = event.target.closest(".event");
    this.parts.view.setPointerCapture(event.pointerId);
    if (element) {
      const id = Number(element.dataset.id);
      element.focus({ preventScroll: true });
      const { onset, offset } = this.events.find((one) => one.id === id);
      this.drag = { id, onset, offset, from: time, x: event.clientX, first: { onset, offset }, edge: edgeAt(element, event) };
      return;
    }
    const row = this.rowAt(event);
    const isLane = row?.kind === "lane";
    this.drag = { row: isLane ? row : null, from: time, x: event.clientX };
    if (!isLane) this.callbacks.onSeek(time);
  }

  onPointerMove(event) {
    const { drag } = this;
    if (!drag || (!drag.isMoving && Math.abs(event.clientX - drag.x) < CLOSE)) return;
    drag.isMoving = true;
    const time = this.timeAt(event);
    if (drag.id) {
      this.moveDrag(drag, time, event);
    } else if (drag.row) {
      const times = [this.snapTime(drag.from, event), this.snapTime(time, event)];
      drag.span = { onset: Math.min(...times), offset: Math.max(...times) };
      this.drawPreview(drag);
      return;
    } else {
      this.callbacks.onSeek(time);
    }
    this.drawEvents();
  }

  moveDrag(drag, time, event) {
    const shift = time - drag.from;
    const { onset, offset } = drag.first;
    if (drag.edge === "onset") {
      drag.onset = Math.min(this.snapTime(onset + shift, event), offset);
    } else if (drag.edge === "offset") {
      drag.offset = Math.max(this.snapTime(offset + shift, event), onset);
    } else {
      const moved = this.snapTime(onset + shift, event) - onset;
      const least = -onset;
      const most = this.seconds - offset;
      const step = Math.max(least, Math.min(most, moved));
      drag.onset = round(onset + step);
      drag.offset = round(offset + step);
    }
  }

  drawPreview(drag) {
    this.preview ??= textElement("div", "", "event preview");
    this.preview.classList.add(drag.row.modality);
    this.parts.events.append(this.preview);
    const { onset, offset } = drag.span;
    this.preview.style.transform = `translate(${this.x(onset)}px, ${drag.row.top + 3}px)`;
    this.preview.style.width = `${(offset - onset) * this.scale}px`;
  }

  onUp(event) {
    const { drag } = this;
    this.cancelDrag();
    if (!drag) return;
    if (drag.id && drag.isMoving) {
      this.callbacks.onMove(drag.id, drag.onset, drag.offset);
    } else if (drag.span && drag.span.offset > drag.span.onset) {
      this.callbacks.onDraw(drag.row, drag.span.onset, drag.span.offset);
    } else if (!drag.id && !drag.isMoving) {
      this.callbacks.onSelect(null);
      this.callbacks.onSeek(this.timeAt(event));
    }
  }

  cancelDrag() {
    this.drag = null;
    this.preview?.remove();
    this.preview = null;
  }

  focus(id) {
    const event = this.events.find((one) => one.id === id);
    if (!event) return;
    this.show(event.onset);
    this.draw();
    const element = this.elements.get(id);
    element?.focus({ preventScroll: true });
    element?.scrollIntoView({ block: "nearest", inline: "nearest" });
  }
}

export function withRange(scores) {
  const values = [...scores.audio, ...scores.visual].flatMap((row) => row.slice(2));
  const least = values.reduce((a, b) => Math.min(a, b), 0);
  const most = values.reduce((a, b) => Math.max(a, b), 0);
  const isProbability = least >= 0 && most <= 1;
  const low = isProbability ? 0 : least;
  const high = isProbability ? 1 : Math.max(most, low + 1);
  return { ...scores, range: { low, high } };
}

function edgeAt(element, event) {
  const box = element.getBoundingClientRect();
  if (box.width < 3 * EDGE) return "both";
  if (event.clientX < box.left + EDGE) return "onset";
  if (event.clientX > box.right - EDGE) return "offset";
  return "both";
}

function hatch(context, colour, left, top, right, height, width) {
  const first = Math.max(0, left);
  const last = Math.min(width, right);
  if (last <= first) return;
  context.save();
  context.beginPath();
  context.rect(first, top, last - first, height - 1);
  context.clip();
  context.strokeStyle = colour;
  context.lineWidth = 1;
  context.beginPath();
  for (let x = first - height; x < last; x += 8) {
    context.moveTo(x, top + height);
    context.lineTo(x + height, top);
  }
  context.stroke();
  context.restore();
}
