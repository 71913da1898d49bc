// Saves the events of the open video: one request at a time, the latest state last.

import { ApiError, putEvents } from "./api.js";
import { isSame, withoutIds } from "./model.js";

const RETRY_MS = 3000;

export class Saver {
  // Callbacks: onStatus(text, isProblem), onSaved(reply), onConflict(value).
  constructor(table, index, { onStatus, onSaved, onConflict }) {
    this.index = index;
    this.callbacks = { onStatus, onSaved, onConflict };
    this.waiting = null;
    this.sending = null; // a promise while a request is on its way
    this.isStopped = false;
    this.key = `vaplan-unsaved-${table}-${index}`;
    const stored = this.stored();
    this.version = stored?.version ?? 0; // the last one that the server acknowledged
    this.sent = stored?.sent ?? []; // changes that the server may have, without a reply
  }

  stored() {
    return JSON.parse(sessionStorage.getItem(this.key));
  }

  // The latest edit, if the server has not acknowledged it; also after a reload.
  unsaved() {
    return this.stored()?.change ?? null;
  }

  save(events, state, action) {
    this.waiting = { events: withoutIds(events), state, action };
    this.store(this.waiting);
    return this.send();
  }

  store(change) {
    const value = { change, version: this.version, sent: this.sent.slice(-1) };
    sessionStorage.setItem(this.key, JSON.stringify(value));
  }

  // Send again what the server has not acknowledged.
  resume() {
    if (!this.sending) this.waiting = this.unsaved();
    this.isStopped = false;
    return this.send();
  }

  // Whether the server has acknowledged every edit.
  get isSaved() {
    return this.unsaved() === null;
  }

  // Send what waits; the promise ends when nothing more can be sent.
  send() {
    if (!this.waiting || this.isStopped) return this.sending ?? Promise.resolve();
    this.sending ??= this.sendWaiting();
    return this.sending;
  }

  async sendWaiting() {
    while (this.waiting && !this.isStopped) await this.sendOne();
    this.sending = null;
  }

  async sendOne() {
    const change = this.waiting;
    this.waiting = null;
    this.sent.push(change);
    this.store(change);
    this.callbacks.onStatus("Saving …", false);
    try {
      const reply = await putEvents(this.index, { ...change, version: this.version, person: "" });
      this.acknowledge(reply.version);
      if (this.waiting) {
        this.store(this.waiting);
      } else {
        sessionStorage.removeItem(this.key);
        this.callbacks.onStatus("Saved", false);
      }
      this.callbacks.onSaved(reply);
    } catch (error) {
      this.waiting ??= change;
      this.fail(error);
    }
  }

  acknowledge(version) {
    this.version = version;
    this.sent = [];
  }

  fail(error) {
    const isAnswer = error instanceof ApiError;
    if (isAnswer && error.status === 409) {
      const { current } = error.value;
      if (this.sent.some((change) => isSame(change, current))) {
        this.acknowledge(current.version); // it arrived, and its reply was lost
        return;
      }
      this.isStopped = true;
      this.callbacks.onStatus("Not saved: changed elsewhere", true);
      this.callbacks.onConflict(error.value);
      return;
    }
    if (isAnswer && error.status < 500) {
      this.waiting = null; // the same request would be refused again
      this.callbacks.onStatus(`Not saved: ${error.message}`, true);
      return;
    }
    const reason = isAnswer ? error.message : "the server does not answer";
    this.callbacks.onStatus(`Not saved yet: ${reason}. Your change is kept here.`, true);
    this.isStopped = true;
    setTimeout(() => {
      this.isStopped = false;
      this.send();
    }, RETRY_MS);
  }

  // After a conflict: go on from the version that the server has.
  resolve(version) {
    this.acknowledge(version);
    this.waiting = null;
    this.isStopped = false;
    sessionStorage.removeItem(this.key);
  }
}
