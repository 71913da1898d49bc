// The list of videos: search, filter, order; only the visible rows are in the page.

const ROW = 58; // pixels; the height of a row in style.css
const MARGIN = 10; // rows above and below the visible ones

const ORDERS = {
  urgency: (a, b) => b.urgency - a.urgency || a.index - b.index,
  name: (a, b) => a.name.localeCompare(b.name, undefined, { numeric: true }),
  events: (a, b) => a.events - b.events || a.index - b.index,
  state: (a, b) => a.state.localeCompare(b.state) || a.index - b.index,
};

export class VideoList {
  constructor(box, onOpen) {
    this.box = box;
    this.onOpen = onOpen;
    this.videos = [];
    this.shown = [];
    this.current = null;
    this.spacer = document.createElement("div");
    this.spacer.className = "rows-spacer";
    this.spacer.setAttribute("role", "presentation");
    box.append(this.spacer);
    box.addEventListener("scroll", () => this.draw());
    box.addEventListener("keydown", (event) => this.onKey(event));
    new ResizeObserver(() => this.draw()).observe(box);
  }

  set(videos) {
    this.videos = videos;
  }

  arrange(search, filter, order) {
    const words = search.toLocaleLowerCase().split(/\s+/).filter(Boolean);
    const texts = (video) =>
      [video.name, video.split, ...video.tags, ...video.reasons].join(" ").toLocaleLowerCase();
    this.shown = this.videos
      .filter((video) => !filter || video.state === filter)
      .filter((video) => words.every((word) => texts(video).includes(word)))
      .sort(ORDERS[order]);
    this.draw();
  }

  update(index, change) {
    Object.assign(this.videos[index], change);
    this.draw();
  }

  select(index) {
    this.current = index;
    const place = this.shown.findIndex((video) => video.index === index);
    if (place >= 0) {
      const top = place * ROW;
      const bottom = top + ROW - this.box.clientHeight;
      if (this.box.scrollTop > top) this.box.scrollTop = top;
      if (this.box.scrollTop < bottom) this.box.scrollTop = bottom;
    }
    this.draw();
  }

  // The video some places after the open one in the order of the list; null at its end.
  step(count) {
    const place = this.shown.findIndex((video) => video.index === this.current);
    const target = place < 0 ? 0 : place + count;
    return this.shown[target]?.index ?? null;
  }

  onKey(event) {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!step) return;
    event.preventDefault();
    event.stopPropagation();
    const index = this.step(step);
    if (index !== null) this.onOpen(index);
  }

  draw() {
    const first = Math.max(0, Math.floor(this.box.scrollTop / ROW) - MARGIN);
    const count = Math.ceil(this.box.clientHeight / ROW) + 2 * MARGIN;
    const visible = this.shown.slice(first, first + count);
    this.spacer.style.height = `${this.shown.length * ROW}px`;
    const rows = visible.map((video, place) => this.row(video, first + place));
    if (!this.shown.length) rows.push(emptyRow());
    this.spacer.replaceChildren(...rows);
    this.box.setAttribute("aria-activedescendant", this.current === null ? "" : `video-${this.current}`);
  }

  row(video, place) {
    const row = document.createElement("div");
    row.className = "row";
    row.id = `video-${video.index}`;
    row.style.top = `${place * ROW}px`;
    row.setAttribute("role", "option");
    row.setAttribute("aria-selected", String(video.index === this.current));
    row.dataset.state = video.state;
    const name = textElement("span", video.name, "row-name");
    name.dir = "auto";
    const count = video.events === 1 ? "1 event" : `${video.events} events`;
    const about = textElement("span", "", "row-about");
    showParts(about, [video.state, count, ...video.reasons]);
    row.append(name, about);
    row.title = `${video.name}\n${about.textContent}`;
    row.addEventListener("click", () => this.onOpen(video.index));
    return row;
  }
}

export function textElement(tag, text, className = "") {
  const element = document.createElement(tag);
  element.textContent = text;
  if (className) element.className = className;
  return element;
}

// Texts with points between them; each keeps its own direction.
export function showParts(element, texts) {
  const parts = texts.flatMap((text) => [" · ", textElement("bdi", text)]);
  element.replaceChildren(...parts.slice(1));
}

function emptyRow() {
  return textElement("p", "No video fits the search.", "empty quiet");
}
