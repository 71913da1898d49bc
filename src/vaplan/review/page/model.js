// Events of one video and the operations on them. Every operation returns a new list.

export const SHORTEST = 0.1; // seconds
const DECIMALS = 4;
let lastId = 0;

export const round = (seconds) => Number(seconds.toFixed(DECIMALS));

export function withIds(events) {
  return events.map((event) => ({ ...event, id: ++lastId }));
}

export function withoutIds(events) {
  return events.map(({ modality, class: name, onset, offset, score }) => ({
    modality, class: name, onset, offset, score,
  }));
}

// Whether two changes have the same state and the same events, in any order.
export function isSame(first, second) {
  const text = (change) =>
    JSON.stringify(
      inOrder(change.events).map((event) => [
        event.modality, event.class, round(event.onset), round(event.offset),
        event.score && Number(event.score.toPrecision(10)),
      ]),
    );
  return first.state === second.state && text(first) === text(second);
}

// A name within a sentence; if it is written from the right, the rest still is not.
export const isolate = (text) => (/^[\x20-\x7e]*$/.test(text) ? text : `\u2068${text}\u2069`);

export function describe(event) {
  const score = event.score === null ? "" : `, score ${event.score.toFixed(2)}`;
  const times = `${event.onset.toFixed(2)} to ${event.offset.toFixed(2)} seconds`;
  return `${event.modality} ${isolate(event.class)}, ${times}${score}`;
}

export function inOrder(events) {
  return [...events].sort(
    (a, b) =>
      a.onset - b.onset ||
      a.modality.localeCompare(b.modality) ||
      a.class.localeCompare(b.class) ||
      a.offset - b.offset,
  );
}

export function find(events, id) {
  return events.find((event) => event.id === id) ?? null;
}

function replace(events, id, change) {
  // what a person changes is no score of a method any more
  return events.map((event) =>
    event.id === id ? { ...event, score: null, ...change } : event,
  );
}

export function add(events, { modality, name, onset, offset }) {
  const event = {
    id: ++lastId, modality, class: name, onset: round(onset), offset: round(offset), score: null,
  };
  return [[...events, event], event.id];
}

export const remove = (events, id) => events.filter((event) => event.id !== id);
export const accept = (events, id) => replace(events, id, {});
export const rename = (events, id, name) => replace(events, id, { class: name });
export const setModality = (events, id, modality) => replace(events, id, { modality });

export function setTimes(events, id, onset, offset, end) {
  const limit = end ?? Infinity;
  const event = find(events, id);
  let first = Math.max(0, Math.min(onset, limit - SHORTEST));
  let last = Math.min(limit, offset);
  if (last - first < SHORTEST) {
    if (onset !== event.onset) first = Math.max(0, last - SHORTEST);
    last = Math.max(last, first + SHORTEST);
  }
  return replace(events, id, { onset: round(first), offset: round(last) });
}

export function nudge(events, id, edge, seconds, end) {
  const event = find(events, id);
  const onset = event.onset + (edge === "offset" ? 0 : seconds);
  const offset = event.offset + (edge === "onset" ? 0 : seconds);
  if (edge === "both" && (onset < 0 || offset > (end ?? Infinity))) return events;
  return setTimes(events, id, onset, offset, end);
}

// Set one edge to a time; null if the event would be too short.
export function setEdge(events, id, edge, time) {
  const event = { ...find(events, id), [edge]: round(time) };
  if (event.offset - event.onset < SHORTEST) return null;
  return replace(events, id, { onset: event.onset, offset: event.offset });
}

export function split(events, id, time) {
  const event = find(events, id);
  if (time - event.onset < SHORTEST || event.offset - time < SHORTEST) return null;
  const first = replace(events, id, { offset: round(time) });
  return add(first, {
    modality: event.modality, name: event.class, onset: time, offset: event.offset,
  });
}

export function merge(events, id) {
  const event = find(events, id);
  const next = inOrder(events).find(
    (candidate) =>
      candidate.id !== id &&
      candidate.modality === event.modality &&
      candidate.class === event.class &&
      candidate.onset >= event.onset,
  );
  if (!next) return null;
  const offset = Math.max(event.offset, next.offset);
  return replace(remove(events, next.id), id, { offset });
}

export function neighbour(events, id, time, step) {
  const ordered = inOrder(events);
  if (!ordered.length) return null;
  const index = ordered.findIndex((event) => event.id === id);
  if (index >= 0) return ordered[Math.max(0, Math.min(ordered.length - 1, index + step))];
  if (step > 0) return ordered.find((event) => event.onset >= time) ?? ordered[0];
  return ordered.findLast((event) => event.onset <= time) ?? ordered.at(-1);
}

// The event to look at after one: the next that no person has checked, else its neighbour.
export function nextToCheck(events, id) {
  const ordered = inOrder(events);
  const place = ordered.findIndex((event) => event.id === id);
  const others = [...ordered.slice(place + 1), ...ordered.slice(0, place)];
  const unchecked = others.find((event) => event.score !== null);
  return unchecked ?? ordered[place + 1] ?? ordered[place];
}

// Spans in which a class is heard and seen.
export function audiovisual(events) {
  const spans = [];
  for (const audio of events.filter((event) => event.modality === "audio")) {
    for (const visual of events) {
      if (visual.modality !== "visual" || visual.class !== audio.class) continue;
      const onset = Math.max(audio.onset, visual.onset);
      const offset = Math.min(audio.offset, visual.offset);
      if (onset < offset) spans.push({ class: audio.class, onset, offset });
    }
  }
  return spans;
}

export function snapped(time, segment) {
  return round(Math.round(time / segment) * segment);
}

// The events of one video with all earlier and later states.
export class History {
  constructor(events) {
    this.events = events;
    this.undone = [];
    this.past = [];
  }

  change(events) {
    this.past.push(this.events);
    this.undone = [];
    this.events = events;
  }

  undo() {
    if (!this.past.length) return false;
    this.undone.push(this.events);
    this.events = this.past.pop();
    return true;
  }

  redo() {
    if (!this.undone.length) return false;
    this.past.push(this.events);
    this.events = this.undone.pop();
    return true;
  }
}
