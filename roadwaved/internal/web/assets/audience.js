// A listener of a live, as the server counts them: joined while they listen,
// heard of every few seconds, gone when they stop.

import { Problem, problemOf } from './page.js';

// Who listens is a random name that this browser made up and keeps.
export function userID() {
  try {
    const known = localStorage.getItem('listener.user');
    if (known) return known;
    const made = randomID();
    localStorage.setItem('listener.user', made);
    return made;
  } catch { // private browsing: another name on every page
    return randomID();
  }
}

const randomID = () => [...crypto.getRandomValues(new Uint8Array(16))].map((b) => b.toString(16).padStart(2, '0')).join('');

const again = 10_000; // ms until the next attempt when the server did not say

export class Visit {
  #path;
  #user = userID();
  #listener; // the server's name for this visit, once it has counted us in
  #interval = again;
  #timer;
  #beatAt = 0; // when the last beat began, as performance.now() says it
  #present = false;
  #joining; // the attempt that is under way

  // position is sent with the next join; undefined until the listener agrees.
  position;

  constructor(liveID) {
    this.#path = `/v1/lives/${encodeURIComponent(liveID)}`;
  }

  // enter counts the listener in and keeps them counted until leave.
  enter() {
    if (this.#present) return;
    this.#present = true;
    this.#beat();
  }

  // hear says that sound is heard just now. Browsers slow the timers of pages that
  // nobody sees down to once a minute, which is too rare to stay counted; what
  // plays goes on.
  hear() {
    if (this.#present && performance.now() - this.#beatAt > this.#interval) this.#beat();
  }

  // leave counts the listener out. It works while the page unloads.
  leave() {
    if (this.#listener) this.#depart(this.#listener);
    this.end();
  }

  // end is for a live that is over: the server has counted everybody out.
  end() {
    this.#present = false;
    clearTimeout(this.#timer);
    this.#listener = undefined;
  }

  // moveTo tells where the listener is: a new visit begins there.
  moveTo(position) {
    this.position = position;
    if (!this.#present) return;
    this.leave();
    this.enter();
  }

  like() { return this.#post('likes', {}); }

  report(category) { return this.#post('reports', { category }); }

  async #beat() {
    clearTimeout(this.#timer);
    this.#beatAt = performance.now();
    try {
      if (!this.#listener) await this.#join();
      else await this.#renew();
    } catch { /* the server is away: the next beat tries again */ }
    if (this.#present) {
      clearTimeout(this.#timer);
      this.#timer = setTimeout(() => this.#beat(), this.#interval);
    }
  }

  async #join() {
    if (this.#joining) return this.#joining;
    const position = this.position;
    this.#joining = this.#post('listeners', position ? { position } : {});
    try {
      const { listener_id: listener, heartbeat_seconds: seconds } = await this.#joining;
      this.#interval = seconds > 0 ? seconds * 1000 : again;
      if (this.#present && position === this.position) this.#listener = listener;
      else this.#depart(listener); // they left, or moved, while the server counted
    } finally {
      this.#joining = undefined;
    }
    if (this.#present && !this.#listener) await this.#join();
  }

  // renew says that we still listen. A server that no longer knows us counts
  // us in anew.
  async #renew() {
    const listener = this.#listener;
    const response = await fetch(this.#at(listener), { method: 'PUT', signal: AbortSignal.timeout(8000) });
    if (response.status !== 404 && response.status !== 410) return;
    if (this.#listener !== listener) return;
    this.#listener = undefined;
    if (this.#present) await this.#join();
  }

  #depart(listener) {
    fetch(this.#at(listener), { method: 'DELETE', keepalive: true }).catch(() => {}); // silence tells it too
  }

  #at(listener) { return `${this.#path}/listeners/${encodeURIComponent(listener)}`; }

  async #post(what, body) {
    let response;
    try {
      response = await fetch(`${this.#path}/${what}`, {
        method: 'POST', headers: { 'Content-Type': 'application/json' },
        body: JSON.stringify({ user_id: this.#user, ...body }), signal: AbortSignal.timeout(8000),
      });
    } catch {
      throw new Problem(0, 'unreachable', 'Le serveur ne répond pas.');
    }
    if (!response.ok) throw await problemOf(response);
    return response.json();
  }
}

// What this browser has said about lives already, of the last hundred.

const key = 'listener.said';

export function said(what) {
  try {
    return JSON.parse(localStorage.getItem(key) ?? '[]').includes(what);
  } catch {
    return false;
  }
}

export function saying(what) {
  try {
    const all = JSON.parse(localStorage.getItem(key) ?? '[]').filter((w) => w !== what);
    localStorage.setItem(key, JSON.stringify([...all, what].slice(-100)));
  } catch { /* private browsing: the server remembers */ }
}
