// Saves the events of the open video: one request at a time, the latest state last.

import { ApiError, putEvents } from "./api.js";
import { withoutIds } from "./model.js";

const RETRY_MS = 3000;

export class Saver {
  // Callbacks: onStatus(text, isProblem), onSaved(reply), onConflict(value).
  constructor(table, index, version, { onStatus, onSaved, onConflict }) {
    this.index = index;
    this.version = version;
    this.callbacks = { onStatus, onSaved, onConflict };
    this.waiting = null;
    this.sending = null; // a promise while a request is on its way
    this.isStopped = false;
    this.key = `vaplan-unsaved-${table}-${index}`;
  }

  // An edit that a closed or reloaded window had not saved.
  unsaved() {
    const text = sessionStorage.getItem(this.key);
    return text ? JSON.parse(text) : null;
  }

  save(events, state, action) {
    this.waiting = { events: withoutIds(events), state, action };
    const stored = { ...this.waiting, version: this.version };
    sessionStorage.setItem(this.key, JSON.stringify(stored));
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
    this.callbacks.onStatus("Saving …", false);
    try {
      const reply = await putEvents(this.index, { ...change, version: this.version, person: "" });
      this.version = reply.version;
      if (!this.waiting) {
        sessionStorage.removeItem(this.key);
        this.callbacks.onStatus("Saved", false);
      }
      this.callbacks.onSaved(reply);
    } catch (error) {
      this.waiting ??= change;
      this.fail(error);
    }
  }

  fail(error) {
    const isAnswer = error instanceof ApiError;
    if (isAnswer && error.status === 409) {
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
    this.version = version;
    this.waiting = null;
    this.isStopped = false;
    sessionStorage.removeItem(this.key);
  }
}
