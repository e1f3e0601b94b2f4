// An audio element that plays HLS: by hls.js where there are Media Source
// Extensions, by the browser itself elsewhere (iPhone). hls.js comes first:
// Chromium says "maybe" to HLS and then keeps too little in reserve.

const retry = 2000; // ms until a playlist that could not be read is asked for again

export class Player extends EventTarget {
  #hls;
  #url;
  #live;
  #timer;

  // Events: "trouble" when sound cannot be fetched, "fine" when it can again.
  constructor(audio) {
    super();
    this.audio = audio;
  }

  // load makes a playlist ready. Of a live only the list of qualities is
  // fetched until someone listens.
  load(url, { live }) {
    this.unload();
    this.#url = url;
    this.#live = live;
    if (!globalThis.Hls?.isSupported()) {
      this.audio.src = url;
      return;
    }
    // No worker: remuxing sound is little work, and a worker made of a blob
    // is what the content security policy forbids. How far behind live to
    // play is not set here: the playlist says it (HOLD-BACK).
    this.#hls = new Hls({ autoStartLoad: !live, enableWorker: false, lowLatencyMode: false, backBufferLength: 60, maxBufferLength: 40 });
    this.#hls.on(Hls.Events.ERROR, (_, error) => { if (error.fatal) this.#recover(error); });
    this.#hls.on(Hls.Events.FRAG_BUFFERED, () => this.dispatchEvent(new Event('fine')));
    this.#hls.attachMedia(this.audio);
    this.#hls.loadSource(url);
  }

  // play resolves when sound is heard. After a pause a live has gone on, and
  // so does the listener.
  play() {
    if (this.#live && this.audio.currentTime > 0) this.toLive();
    else if (this.#live && !this.#ready) this.load(this.#url, { live: true });
    if (this.#live) this.#hls?.startLoad(-1);
    return this.audio.play();
  }

  // pause stops a replay where it is; of a live it stops the download too.
  pause() {
    this.audio.pause();
    if (this.#live) this.unload();
  }

  unload() {
    clearTimeout(this.#timer);
    this.#hls?.destroy();
    this.#hls = undefined;
    this.audio.removeAttribute('src');
    this.audio.load();
  }

  get #ready() { return this.#hls !== undefined || this.audio.hasAttribute('src'); }

  #recover(error) {
    if (error.type === Hls.ErrorTypes.MEDIA_ERROR) {
      this.#hls.recoverMediaError();
      return;
    }
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      if (!this.dry) { // what was fetched before is heard meanwhile
        this.#hls.startLoad(-1);
        return;
      }
      const { paused, currentTime } = this.audio;
      this.load(this.#url, { live: this.#live });
      if (!this.#live) this.audio.currentTime = currentTime;
      if (!paused) this.play().catch(() => {}); // the listener pressed pause meanwhile
    }, retry);
    this.dispatchEvent(new Event('trouble')); // last: who hears it may unload
  }

  // behind is how many seconds of the live are still to come before what is
  // heard now; undefined for a replay and while nothing plays.
  get behind() {
    if (!this.#live) return undefined;
    if (this.#hls) return this.#hls.latency || undefined;
    const { seekable, currentTime } = this.audio;
    return seekable.length ? seekable.end(seekable.length - 1) - currentTime : undefined;
  }

  // dry is when nothing is left to hear without the network. Browsers stop a
  // little before the end of what they have.
  get dry() {
    const { buffered, currentTime } = this.audio;
    for (let i = 0; i < buffered.length; i++) {
      if (buffered.start(i) <= currentTime && buffered.end(i) > currentTime + 0.5) return false;
    }
    return true;
  }

  // holdBack is how far behind live the playlist wants players to stay.
  get holdBack() { return this.#hls?.targetLatency ?? 15; }

  // toLive jumps to where a listener who comes now would begin.
  toLive() {
    const { seekable } = this.audio;
    const position = this.#hls?.liveSyncPosition ?? (seekable.length ? seekable.end(seekable.length - 1) - this.holdBack : null);
    if (position !== null) this.audio.currentTime = Math.max(0, position);
  }
}
