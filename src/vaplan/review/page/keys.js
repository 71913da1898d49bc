// The keys of the page, in the order of the help sheet.

const one = (action, text, ...keys) => ({ action, text, keys });
const pair = (first, second, text, keys) => ({
  keys, text, actions: { [keys[0]]: first, [keys[1]]: second },
});

export const KEYS = [
  one("play", "play or pause", " "),
  pair("segmentBack", "segmentOn", "one segment back or on", ["ArrowLeft", "ArrowRight"]),
  pair("frameBack", "frameOn", "one frame back or on", [",", "."]),
  pair("slower", "faster", "slower or faster", ["<", ">"]),
  one("loop", "repeat the selected event", "l"),
  pair("previousEvent", "nextEvent", "previous or next event", ["p", "n"]),
  one("add", "new event at the playhead", "a"),
  pair("onsetBack", "onsetOn", "move the onset by 0.1 s", ["[", "]"]),
  pair("onsetBackFar", "onsetOnFar", "move the onset by 1 s", ["{", "}"]),
  pair("offsetBack", "offsetOn", "move the offset by 0.1 s", ["-", "="]),
  pair("offsetBackFar", "offsetOnFar", "move the offset by 1 s", ["_", "+"]),
  pair("onsetHere", "offsetHere", "move the onset or the offset to the playhead", ["q", "w"]),
  one("snap", "snap to segments while dragging, on or off (Alt: free)", "s"),
  one("split", "split the event at the playhead", "x"),
  one("merge", "merge with the next event of its class", "m"),
  one("changeClass", "change the class", "c"),
  one("changeModality", "change the modality", "v"),
  one("accept", "accept, and go to the next unchecked event", "Enter"),
  one("reject", "reject (delete), and go to the next unchecked event", "r", "Delete", "Backspace"),
  one("undo", "undo", "Ctrl+z"),
  one("redo", "redo", "Ctrl+Shift+z", "Ctrl+y"),
  pair("previousVideo", "nextVideo", "previous or next video", ["PageUp", "PageDown"]),
  one("finish", "done, and open the next video", "d"),
  pair("zoomOut", "zoomIn", "zoom out or in (also Ctrl and the wheel)", ["o", "i"]),
  one("spectrogram", "spectrogram under the waveform, on or off", "g"),
  one("unselect", "select nothing", "Escape"),
  one("help", "this sheet", "?"),
];

const NAMES = {
  " ": "Space", ArrowLeft: "←", ArrowRight: "→", PageUp: "Page Up", PageDown: "Page Down",
  Escape: "Esc",
};

export function keyName(key) {
  const parts = key.length === 1 ? [key] : key.split("+");
  const names = parts.map((part) => (part.length === 1 ? part.toUpperCase() : part));
  return NAMES[key] ?? names.join("+");
}
