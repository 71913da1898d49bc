// The list of videos: search, filter, order; only the visible rows are in the page.

const ROW = 58; // pixels; the height of a row in style.css
const MARGIN = 10; // rows above and below the visible ones

const NO_SCORE = -1e300; // below every score

const ORDERS = {
  urgency: (a, b) => b.urgency - a.urgency || a.index - b.index,
  score: (a, b) => (b.score ?? NO_SCORE) - (a.score ?? NO_SCORE) || a.index - b.index,
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
    this.rows = new Map(); // elements of the rows in the page, by the index of their video
    this.emptyRow = textElement("p", "No video fits the search.", "empty quiet");
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

  // A row that stays visible stays in the page: a row that is replaced between the press
  // and the release of the mouse gets no click.
  draw() {
    const first = Math.max(0, Math.floor(this.box.scrollTop / ROW) - MARGIN);
    const count = Math.ceil(this.box.clientHeight / ROW) + 2 * MARGIN;
    const visible = this.shown.slice(first, first + count);
    this.spacer.style.height = `${this.shown.length * ROW}px`;
    this.removeRows(new Set(visible.map((video) => video.index)));
    visible.forEach((video, place) => {
      const row = this.row(video, first + place);
      const there = this.spacer.children[place] ?? null;
      if (there !== row) this.spacer.insertBefore(row, there);
    });
    if (this.shown.length) this.emptyRow.remove();
    else this.spacer.append(this.emptyRow);
    this.box.setAttribute("aria-activedescendant", this.current === null ? "" : `video-${this.current}`);
  }

  removeRows(kept) {
    for (const [index, row] of this.rows) {
      if (kept.has(index)) continue;
      row.remove();
      this.rows.delete(index);
    }
  }

  row(video, place) {
    if (!this.rows.has(video.index)) this.rows.set(video.index, this.createRow(video));
    const row = this.rows.get(video.index);
    row.style.top = `${place * ROW}px`;
    row.setAttribute("aria-selected", String(video.index === this.current));
    row.dataset.state = video.state;
    const count = video.events === 1 ? "1 event" : `${video.events} events`;
    const about = row.querySelector(".row-about");
    showParts(about, [video.state, count, ...video.reasons]);
    row.title = `${video.name}\n${about.textContent}`;
    return row;
  }

  createRow(video) {
    const row = document.createElement("div");
    row.className = "row";
    row.id = `video-${video.index}`;
    row.setAttribute("role", "option");
    const name = textElement("span", video.name, "row-name");
    name.dir = "auto";
    row.append(name, textElement("span", "", "row-about"));
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
