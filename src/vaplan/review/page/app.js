// The page: connects the list, the player, the timeline and the server.

import * as api from "./api.js";
import { KEYS, keyName } from "./keys.js";
import { showParts, textElement, VideoList } from "./list.js";
import * as model from "./model.js";
import { Saver } from "./saver.js";
import { Spectrogram } from "./spectrogram.js";
import { Timeline, withRange } from "./timeline.js";

const POLL_MS = 1000;
const NEW_EVENT_SECONDS = 1;
const DEFAULT_FRAME_RATE = 25;
const byId = (id) => document.getElementById(id);
const works = new Map(); // saver and history of every video that was opened, by its index
const player = byId("player");

const state = {
  session: null,
  video: null, // the open one, as the server describes it
  history: new model.History([]),
  saver: null,
  selected: null,
  stillTime: 0, // seconds; the playhead where there is no media
  lastModality: "audio",
  lastClass: "",
};

const list = new VideoList(byId("rows"), open);
const timeline = new Timeline(
  {
    labels: byId("labels"), scroller: byId("scroller"), spacer: byId("spacer"), view: byId("view"),
    canvas: byId("canvas"), events: byId("events"), playhead: byId("playhead"),
  },
  {
    onSeek: seek,
    onSelect: select,
    onDraw: (row, onset, offset) => addEvents([row.modality], row.name, onset, offset),
    onMove: (id, onset, offset) =>
      apply(model.setTimes(events(), id, onset, offset, length()), "move"),
    onZoom: (zoom, time) => {
      byId("zoom").value = zoom;
      timeline.setZoom(zoom, time);
    },
    isSnapping: () => byId("snap").checked,
  },
);

const events = () => state.history.events;
const selectedEvent = () => model.find(events(), state.selected);
const length = () => state.video?.seconds ?? null;
const hasMedia = () => player.readyState > 0;
const time = () => (hasMedia() ? player.currentTime : state.stillTime);

function announce(text) {
  byId("live").textContent = text;
}

function showStatus(text, isProblem) {
  byId("saved").textContent = text;
  byId("saved").classList.toggle("problem", isProblem);
}

// Say why a key does nothing.
function refuse(text) {
  if (byId("saved").classList.contains("problem")) announce(text); // that text is worth more
  else showStatus(text, false);
}

// ---- videos

async function start() {
  try {
    state.session = await api.getSession();
    list.set(await api.getVideos());
  } catch (error) {
    showStatus(`Cannot load the review: ${error.message}`, true);
    return;
  }
  showClasses();
  showProblems();
  arrangeList();
  const wanted = Number(location.hash.slice(1));
  const first = location.hash && list.videos[wanted] ? wanted : list.step(0);
  if (first !== null && first !== undefined) await open(first);
}

function arrangeList() {
  list.arrange(byId("search").value, byId("filter").value, byId("order").value);
  showCounts();
}

function showCounts() {
  const count = (name) => list.videos.filter((video) => video.state === name).length;
  byId("counts").textContent =
    `${list.videos.length} ${list.videos.length === 1 ? "video" : "videos"}: ` +
    `${count("done")} done, ${count("in work")} in work, ${count("untouched")} untouched`;
}

function showProblems() {
  const { problems } = state.session;
  byId("problems").hidden = !problems.length;
  const count = problems.length === 1 ? "1 file" : `${problems.length} files`;
  const heading = textElement("p", `${count} of the source cannot be read:`);
  byId("problems").replaceChildren(heading, ...problems.map((text) => textElement("p", text)));
}

function showClasses() {
  byId("classes").replaceChildren(
    ...state.session.classes.map((name) => {
      const option = document.createElement("option");
      option.value = name;
      return option;
    }),
  );
}

let lastRequest = 0; // number of the last video that was asked for

async function open(index) {
  lastRequest += 1;
  const number = lastRequest;
  list.select(index); // at once, so that the next key goes on from there
  if (state.video?.index === index) return; // its unsaved edits stay
  player.pause();
  const work = workOf(index);
  let video;
  try {
    video = await api.getVideo(index);
    if (video.version < work.saver.version) video = await api.getVideo(index); // saved meanwhile
  } catch (error) {
    showStatus(`Cannot open this video: ${error.message}`, true);
    return;
  }
  if (number !== lastRequest) return; // another video was asked for meanwhile
  if (byId("conflict-dialog").open) {
    list.select(state.video.index); // the open video is not settled
    return;
  }
  player.removeAttribute("src");
  player.load();
  Object.assign(state, { video, selected: null, stillTime: 0 });
  history.replaceState(null, "", `#${index}`);
  openWork(work, video);
  timeline.reset();
  timeline.video = video;
  timeline.methods = shownMethods();
  byId("zoom").value = 0;
  timeline.zoom = 0;
  showStatus("", false);
  showHead();
  showMethods();
  render();
  if (!work.saver.isSaved) work.saver.resume();
  await showPreparation(video, index);
}

function workOf(index) {
  if (!works.has(index)) works.set(index, { saver: makeSaver(index), history: null });
  return works.get(index);
}

// Go on with the edits of this window, unless the server has a newer version.
function openWork(work, video) {
  const { saver } = work;
  const unsaved = saver.unsaved();
  if (!work.history || (!unsaved && video.version !== saver.version)) {
    work.history = new model.History(model.withIds(video.events));
    if (unsaved) work.history.change(model.withIds(unsaved.events)); // of a closed window
  }
  if (unsaved) video.state = unsaved.state;
  else saver.version = video.version;
  state.history = work.history;
  state.saver = saver;
}

function showHead() {
  const { video } = state;
  document.title = `${model.isolate(video.name)} · vaplan review`;
  byId("title").textContent = video.name;
  byId("title").title = video.name;
  const seconds = video.seconds === null ? "" : `${video.seconds.toFixed(1)} s`;
  const split = video.split && `split ${video.split}`;
  const tags = video.tags.length ? `tags: ${video.tags.map(model.isolate).join(", ")}` : "";
  showParts(byId("about"), [video.state, seconds, split, tags].filter(Boolean));
  byId("warnings").replaceChildren(...video.warnings.map((text) => textElement("p", text)));
}

// ---- media and other files, which the server prepares in the background

async function showPreparation(status, index) {
  const before = new Set();
  for (;;) {
    if (state.video?.index !== index) return;
    for (const part of ["media", "peaks", "scores"]) {
      if (status[part].state !== "ready" || before.has(part)) continue;
      before.add(part);
      await load(part, index);
    }
    if (state.video?.index !== index) return;
    showMediaStatus(status.media);
    Object.assign(state.video, {
      seconds: status.seconds, frame_rate: status.frame_rate,
      has_audio: status.has_audio, has_video: status.has_video,
    });
    player.classList.toggle("no-picture", !status.has_video);
    showHead();
    timeline.update();
    showSpectrogram();
    const parts = [status.media, status.peaks, status.scores];
    if (!parts.some((part) => ["waiting", "running"].includes(part.state))) return;
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    try {
      status = await api.getPreparation(index);
    } catch {
      // the server may come back; the next request tells
    }
  }
}

async function load(part, index) {
  try {
    if (part === "media") {
      player.src = api.mediaAddress(index);
      player.playbackRate = Number(byId("speed").value);
      return;
    }
    const value = part === "peaks" ? await api.getPeaks(index) : await api.getScores(index);
    if (state.video?.index !== index) return;
    if (part === "peaks") timeline.setPeaks(value);
    else timeline.scores = withRange(value);
  } catch (error) {
    showStatus(`Cannot load the ${part}: ${error.message}`, true);
  }
}

// Show or hide the spectrogram; the server makes one when it is first shown.
async function showSpectrogram() {
  const { video } = state;
  const isWanted = () =>
    state.video === video && video.has_audio && byId("spectrogram").checked;
  if (!isWanted()) {
    showSpectrogramText("");
    return;
  }
  if (timeline.spectrogramText) return; // it is there, or another call waits for it
  showSpectrogramText("spectrogram");
  try {
    const isReady = await waitForSpectrogram(video.index, isWanted);
    if (!isReady || timeline.spectrogram) return;
    const read = (start, end) => api.readSpectrogram(video.index, start, end);
    const spectrogram = new Spectrogram(read, () => timeline.draw());
    await spectrogram.open();
    if (!isWanted()) return;
    timeline.spectrogram = spectrogram;
    timeline.draw();
  } catch (error) {
    showStatus(`Cannot load the spectrogram: ${error.message}`, true);
  }
}

async function waitForSpectrogram(index, isWanted) {
  while (isWanted()) {
    const { state: stage, progress, message } = await api.prepareSpectrogram(index);
    if (!isWanted()) return false;
    const isWorking = ["waiting", "running"].includes(stage);
    const share = isWorking && progress !== null ? `, ${Math.round(100 * progress)} %` : "";
    showSpectrogramText(`spectrogram${share}`);
    if (stage === "failed") throw new Error(message);
    if (!isWorking) return stage === "ready";
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
  return false;
}

function showSpectrogramText(text) {
  if (timeline.spectrogramText === text) return;
  timeline.spectrogramText = text;
  timeline.update();
}

function toggleSpectrogram() {
  if (!state.video?.has_audio) refuse("This video has no audio");
  showSpectrogram();
}

function showMediaStatus(media) {
  const box = byId("preparing");
  box.hidden = media.state === "ready";
  const isWorking = ["waiting", "running"].includes(media.state);
  byId("preparing-bar").hidden = !isWorking;
  if (media.progress === null) byId("preparing-bar").removeAttribute("value");
  else byId("preparing-bar").value = media.progress;
  const heading = isWorking ? "Making a copy that this browser can play" : "No video to play";
  byId("preparing-text").textContent = heading;
  byId("preparing-reason").textContent = media.message;
}

// ---- playback

function seek(seconds) {
  const end = timeline.seconds;
  const target = Math.max(0, Math.min(end, seconds));
  state.stillTime = target;
  if (hasMedia()) player.currentTime = target;
  showTime();
}

function showTime() {
  byId("time").textContent = `${time().toFixed(2)} s`;
  timeline.setTime(time());
}

function togglePlay() {
  if (!hasMedia()) return;
  if (player.paused) player.play().catch(() => {});
  else player.pause();
}

function onFrame() {
  if (player.paused) return;
  const event = selectedEvent();
  if (byId("loop").checked && event && (time() >= event.offset || time() < event.onset - 0.5)) {
    player.currentTime = event.onset;
  }
  showTime();
  timeline.show(time());
  requestAnimationFrame(onFrame);
}

function changeSpeed(step) {
  const menu = byId("speed");
  const target = menu.selectedIndex + step;
  menu.selectedIndex = Math.max(0, Math.min(menu.options.length - 1, target));
  player.playbackRate = Number(menu.value);
  announce(`speed ${menu.value}`);
}

function stepFrame(count) {
  player.pause();
  seek(time() + count / (state.video?.frame_rate ?? DEFAULT_FRAME_RATE));
}

function stepSegment(count) {
  const { segment_seconds: segment } = state.video;
  const place = time() / segment;
  const target = count > 0 ? Math.floor(place + 1e-6) + 1 : Math.ceil(place - 1e-6) - 1;
  seek(target * segment);
}

// ---- edits

function makeSaver(index) {
  return new Saver(state.session.table, index, {
    onStatus: (text, isProblem) => {
      if (state.video?.index === index) showStatus(text, isProblem);
    },
    onSaved: (reply) => onSaved(index, reply),
    onConflict: (value) => showConflict(index, value),
  });
}

function onSaved(index, reply) {
  list.update(index, { state: reply.state, events: reply.events.length, version: reply.version });
  showCounts();
  if (state.session.classes.length !== reply.classes.length) {
    state.session.classes = reply.classes;
    showClasses();
  }
  if (state.video?.index === index) {
    state.video.state = reply.state;
    showHead();
  }
}

function save(action, newState) {
  const current = state.video.state === "untouched" ? "in work" : state.video.state;
  state.video.state = newState ?? current;
  return state.saver.save(events(), state.video.state, action);
}

function apply(changed, action, selected = state.selected) {
  if (changed === events()) return;
  state.history.change(changed);
  state.selected = selected;
  render();
  save(action);
  const event = selectedEvent();
  announce(event ? `${action}: ${model.describe(event)}` : action);
}

function render() {
  if (!selectedEvent()) state.selected = null;
  timeline.events = events();
  timeline.selected = state.selected;
  timeline.allClasses = byId("all-classes").checked ? state.session.classes : [];
  timeline.update();
  showEditor();
  byId("undo").disabled = !state.history.past.length;
  byId("redo").disabled = !state.history.undone.length;
  showTime();
}

function select(id) {
  if (id === state.selected) return;
  state.selected = id;
  timeline.selected = id;
  timeline.draw();
  showEditor();
}

function showEditor() {
  const event = selectedEvent();
  byId("form").hidden = !event;
  byId("nothing").hidden = Boolean(event);
  if (!event) return;
  byId("event-class").value = event.class;
  byId("event-modality").value = event.modality;
  byId("event-onset").value = event.onset;
  byId("event-offset").value = event.offset;
  byId("event-score").textContent =
    event.score === null ? "checked by a person" : `score ${event.score.toFixed(3)}`;
}

function addEvents(modalities, name, onset, offset) {
  let changed = events();
  let id = null;
  for (const modality of modalities) {
    [changed, id] = model.add(changed, { modality, name, onset, offset });
  }
  state.lastClass = name;
  state.lastModality = modalities.at(-1);
  apply(changed, "add", id);
  timeline.focus(id);
}

function changeSelected(operation, action) {
  const event = selectedEvent();
  if (!event) return refuse("No event is selected");
  const changed = operation(events(), event.id);
  if (!changed) return refuse(`Cannot ${action} here`);
  return apply(changed, action);
}

const nudge = (edge, seconds) =>
  changeSelected((all, id) => model.nudge(all, id, edge, seconds, length()), "nudge");

const moveEdge = (edge) =>
  changeSelected((all, id) => model.setEdge(all, id, edge, time()), `move the ${edge}`);

function splitSelected() {
  const event = selectedEvent();
  const result = event && model.split(events(), event.id, time());
  if (!result) return refuse("The playhead is not inside the selected event");
  return apply(result[0], "split", result[1]);
}

function acceptSelected() {
  const event = selectedEvent();
  if (!event) return;
  const next = model.nextToCheck(events(), event.id);
  apply(model.accept(events(), event.id), "accept", next.id);
  timeline.focus(next.id);
}

function rejectSelected() {
  const event = selectedEvent();
  if (!event) return;
  const next = model.nextToCheck(events(), event.id);
  const target = next.id === event.id ? null : next.id;
  apply(model.remove(events(), event.id), "reject", target);
  if (target) timeline.focus(target);
}

function renameSelected(name) {
  const text = name.trim();
  if (!text || text === selectedEvent()?.class) return showEditor();
  state.lastClass = text;
  return changeSelected((all, id) => model.rename(all, id, text), "change class");
}

function step(history, action) {
  if (!history()) return refuse(`Nothing to ${action}`);
  render();
  save(action);
  return announce(action);
}

const undo = () => step(() => state.history.undo(), "undo");
const redo = () => step(() => state.history.redo(), "redo");

function selectNeighbour(count) {
  const event = model.neighbour(events(), state.selected, time(), count);
  if (!event) return refuse("This video has no events");
  select(event.id);
  seek(event.onset);
  return timeline.focus(event.id);
}

async function finish() {
  if (!state.video) return;
  const { saver } = state;
  state.history.change(events().map((event) => ({ ...event, score: null })));
  render();
  const next = list.step(1);
  const saved = save("finish", "done");
  announce("done");
  await saved;
  if (saver.isSaved && state.saver === saver && next !== null) await open(next);
}

function openNeighbour(count) {
  const index = list.step(count);
  if (index !== null) open(index);
}

// ---- methods that are only shown

function shownMethods() {
  const hidden = JSON.parse(sessionStorage.getItem("vaplan-hidden-methods") ?? "[]");
  return new Set(state.session.methods.filter((name) => !hidden.includes(name)));
}

function showMethods() {
  byId("methods").replaceChildren(
    ...state.session.methods.map((name, place) => {
      const label = textElement("label", "", `inline method-${place % 3}`);
      const box = document.createElement("input");
      box.type = "checkbox";
      box.checked = timeline.methods.has(name);
      box.addEventListener("change", () => {
        if (box.checked) timeline.methods.add(name);
        else timeline.methods.delete(name);
        const hidden = state.session.methods.filter((one) => !timeline.methods.has(one));
        sessionStorage.setItem("vaplan-hidden-methods", JSON.stringify(hidden));
        timeline.methods = shownMethods();
        timeline.update();
      });
      const text = textElement("span", name);
      text.dir = "auto";
      label.title = name;
      label.append(box, text);
      return label;
    }),
  );
}

// ---- dialogs

function openNew() {
  const onset = byId("snap").checked
    ? Math.floor(time() / state.video.segment_seconds) * state.video.segment_seconds
    : time();
  const offset = Math.min(onset + NEW_EVENT_SECONDS, length() ?? Infinity);
  byId("new-dialog").dataset.onset = onset;
  byId("new-dialog").dataset.offset = Math.max(offset, onset + model.SHORTEST);
  byId("new-time").textContent = `from ${onset.toFixed(2)} s to ${offset.toFixed(2)} s`;
  byId("new-class").value = state.lastClass || state.video.tags[0] || "";
  byId("new-modality").value = state.lastModality;
  byId("new-problem").textContent = "";
  byId("new-dialog").showModal();
  byId("new-class").select();
}

function addNew() {
  const dialog = byId("new-dialog");
  const name = byId("new-class").value.trim();
  if (!name) {
    byId("new-problem").textContent = "Give the name of a class.";
    return;
  }
  if (state.session.is_closed && !state.session.classes.includes(name)) {
    byId("new-problem").textContent = `The taxonomy has no class ${model.isolate(name)}.`;
    return;
  }
  const choice = byId("new-modality").value;
  const modalities = choice === "both" ? ["audio", "visual"] : [choice];
  dialog.close();
  addEvents(modalities, name, Number(dialog.dataset.onset), Number(dialog.dataset.offset));
}

function showConflict(index, value) {
  const { saver } = state;
  const yours = events();
  const yoursState = state.video.state;
  if (saver.index !== index) {
    open(index); // its unsaved edit is sent again, and the dialog appears over its own video
    return;
  }
  fillList("conflict-yours", yours);
  fillList("conflict-current", value.current.events);
  const dialog = byId("conflict-dialog");
  byId("keep-yours").onclick = () => {
    saver.resolve(value.current.version);
    dialog.close();
    saver.save(yours, yoursState, "keep after a conflict");
  };
  byId("take-current").onclick = () => {
    saver.resolve(value.current.version);
    dialog.close();
    state.history.change(model.withIds(value.current.events));
    state.video.state = value.current.state;
    showStatus("Saved", false);
    render();
  };
  dialog.showModal();
}

function fillList(id, all) {
  const items = model.inOrder(all).map((event) => textElement("li", model.describe(event)));
  byId(id).replaceChildren(...(items.length ? items : [textElement("li", "no events")]));
}

async function showCommands() {
  const commands = await api.getCommands();
  const rows = commands.map((command) => {
    const row = textElement("div", "", "command");
    const copy = textElement("button", "Copy");
    copy.addEventListener("click", async () => {
      await copyText(command);
      copy.textContent = "Copied";
    });
    const words = command.split(" ").flatMap((word) => [textElement("span", word), " "]);
    const code = textElement("code", "");
    code.append(...words); // lines break between words only
    row.append(code, copy);
    return row;
  });
  const table = textElement("p", `The corrections are in ${model.isolate(state.session.table)}.`, "quiet");
  byId("command-list").replaceChildren(table, ...rows);
  byId("commands-dialog").showModal();
}

async function copyText(text) {
  if (navigator.clipboard) {
    await navigator.clipboard.writeText(text);
    return;
  }
  // browsers offer no clipboard to a page of another host without encryption
  const field = document.createElement("textarea");
  field.value = text;
  byId("commands-dialog").append(field);
  field.select();
  document.execCommand("copy");
  field.remove();
}

function showHelp() {
  const rows = KEYS.flatMap(({ keys, text }) => {
    const names = textElement("span", "");
    keys.forEach((key) => names.append(textElement("kbd", keyName(key))));
    return [names, textElement("span", text)];
  });
  byId("keys").replaceChildren(...rows);
  byId("help-dialog").showModal();
}

// ---- keys and buttons

const ACTIONS = {
  play: togglePlay,
  frameBack: () => stepFrame(-1),
  frameOn: () => stepFrame(1),
  segmentBack: () => stepSegment(-1),
  segmentOn: () => stepSegment(1),
  slower: () => changeSpeed(-1),
  faster: () => changeSpeed(1),
  loop: () => byId("loop").click(),
  snap: () => byId("snap").click(),
  nextEvent: () => selectNeighbour(1),
  previousEvent: () => selectNeighbour(-1),
  add: openNew,
  onsetBack: () => nudge("onset", -0.1),
  onsetOn: () => nudge("onset", 0.1),
  onsetBackFar: () => nudge("onset", -1),
  onsetOnFar: () => nudge("onset", 1),
  offsetBack: () => nudge("offset", -0.1),
  offsetOn: () => nudge("offset", 0.1),
  offsetBackFar: () => nudge("offset", -1),
  offsetOnFar: () => nudge("offset", 1),
  onsetHere: () => moveEdge("onset"),
  offsetHere: () => moveEdge("offset"),
  split: splitSelected,
  merge: () => changeSelected((all, id) => model.merge(all, id), "merge"),
  changeClass: () => byId("event-class").select(),
  changeModality: () =>
    changeSelected(
      (all, id) =>
        model.setModality(all, id, selectedEvent().modality === "audio" ? "visual" : "audio"),
      "change modality",
    ),
  accept: acceptSelected,
  reject: rejectSelected,
  undo,
  redo,
  previousVideo: () => openNeighbour(-1),
  nextVideo: () => openNeighbour(1),
  finish,
  zoomIn: () => zoomBy(10),
  zoomOut: () => zoomBy(-10),
  spectrogram: () => byId("spectrogram").click(),
  unselect: () => select(null),
  help: showHelp,
};

function zoomBy(change) {
  const zoom = Math.max(0, Math.min(100, Number(byId("zoom").value) + change));
  byId("zoom").value = zoom;
  timeline.setZoom(zoom);
}

function pressed(event) {
  const control = event.ctrlKey || event.metaKey ? "Ctrl+" : "";
  const name = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  const shift = control && event.shiftKey ? "Shift+" : "";
  return control + shift + name;
}

// Back to the other keys, without the change.
function leaveField(field) {
  showEditor();
  field.blur();
}

function onKey(event) {
  if (!state.video || event.altKey || document.querySelector("dialog[open]")) return;
  const { target } = event;
  if (event.key === "Escape" && target.closest("#form")) leaveField(target);
  if (target.matches("input:not([type=checkbox], [type=range]), select, textarea")) return;
  const isButton = target.matches("button, input[type=checkbox]");
  if (isButton && [" ", "Enter"].includes(event.key)) return;
  if (target.matches("input[type=range]") && /^(Arrow|Page)/.test(event.key)) return;
  const name = pressed(event);
  const entry = KEYS.find(({ keys }) => keys.includes(name));
  if (!entry) return;
  event.preventDefault();
  ACTIONS[entry.actions?.[name] ?? entry.action]();
}

function onEditorTimes() {
  const event = selectedEvent();
  const onset = byId("event-onset").valueAsNumber;
  const offset = byId("event-offset").valueAsNumber;
  if (!event || Number.isNaN(onset) || Number.isNaN(offset)) return showEditor();
  return apply(model.setTimes(events(), event.id, onset, offset, length()), "set times");
}

function connect() {
  const onClick = (id, action) => byId(id).addEventListener("click", action);
  const onChange = (id, action) => byId(id).addEventListener("change", action);
  onClick("play", togglePlay);
  onClick("previous", () => openNeighbour(-1));
  onClick("next", () => openNeighbour(1));
  onClick("done", finish);
  onClick("help", showHelp);
  onClick("commands", showCommands);
  onClick("undo", undo);
  onClick("redo", redo);
  onClick("accept", acceptSelected);
  onClick("reject", rejectSelected);
  onClick("split", splitSelected);
  onClick("merge", ACTIONS.merge);
  onClick("new-add", addNew);
  onClick("new-cancel", () => byId("new-dialog").close());
  onChange("event-class", () => renameSelected(byId("event-class").value));
  onChange("event-modality", ACTIONS.changeModality);
  onChange("event-onset", onEditorTimes);
  onChange("event-offset", onEditorTimes);
  onChange("all-classes", render);
  onChange("spectrogram", toggleSpectrogram);
  onChange("filter", arrangeList);
  onChange("order", arrangeList);
  onChange("speed", () => changeSpeed(0));
  byId("search").addEventListener("input", arrangeList);
  byId("zoom").addEventListener("input", () => timeline.setZoom(Number(byId("zoom").value)));
  byId("form").addEventListener("submit", (event) => {
    event.preventDefault();
    document.activeElement.blur();
  });
  byId("new-dialog").addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.target.tagName === "BUTTON") return;
    event.preventDefault();
    addNew();
  });
  byId("conflict-dialog").addEventListener("cancel", (event) => event.preventDefault());
  player.addEventListener("play", () => {
    byId("play").textContent = "❚❚";
    byId("play").setAttribute("aria-label", "Pause");
    requestAnimationFrame(onFrame);
  });
  player.addEventListener("pause", () => {
    byId("play").textContent = "▶";
    byId("play").setAttribute("aria-label", "Play");
    showTime();
  });
  player.addEventListener("seeked", showTime);
  player.addEventListener("loadedmetadata", () => {
    if (state.stillTime) player.currentTime = state.stillTime; // moved before it was there
  });
  player.addEventListener("click", togglePlay);
  player.addEventListener("error", () => {
    if (player.getAttribute("src")) showStatus("This browser cannot play the file.", true);
  });
  document.addEventListener("keydown", onKey);
  window.addEventListener("beforeunload", (event) => {
    const isBusy = ({ saver }) => saver.waiting || saver.sending;
    if ([...works.values()].some(isBusy)) event.preventDefault();
  });
}

connect();
start();
