// A level meter: reads a microphone, moves a bar, warns about silence and
// clipping.

const floor = -60; // dBFS, the left end of the bar
const quiet = -50; // dBFS below which nobody speaks
const silence = 6000; // ms of quiet until it is worth a word

export class Meter {
  #context;
  #timer;
  #frame;
  #parts;

  // bar, peak and meter are elements; tell gets "", "quiet" or "clipping".
  constructor(stream, { bar, peak, meter, tell }) {
    this.#parts = { bar, peak, meter };
    this.#context = new AudioContext();
    this.#context.resume();
    const analyser = this.#context.createAnalyser();
    analyser.fftSize = 2048;
    this.#context.createMediaStreamSource(stream).connect(analyser);
    const samples = new Float32Array(analyser.fftSize);
    let level = floor, held = floor, heldAt = 0, loudAt = performance.now(), clippedAt = -Infinity, measuredAt = 0;

    const measure = () => {
      analyser.getFloatTimeDomainData(samples);
      let top = 0;
      for (const s of samples) top = Math.max(top, Math.abs(s));
      const now = performance.now();
      const db = Math.max(floor, 20 * Math.log10(top || 1e-6));
      level = Math.max(db, level - (now - measuredAt) * 0.03); // falls 30 dB a second
      measuredAt = now;
      if (db > held || now - heldAt > 1500) [held, heldAt] = [db, now];
      if (db > quiet) loudAt = now;
      if (db > -0.2) clippedAt = now;
      return now;
    };
    const draw = () => {
      const now = measure();
      const part = (v) => (1 - v / floor) * 100;
      bar.style.clipPath = `inset(0 ${100 - part(level)}% 0 0)`;
      peak.style.left = `calc(${part(held)}% - 3px)`;
      peak.style.opacity = held > floor ? 1 : 0;
      tell(now - clippedAt < 2000 ? 'clipping' : now - loudAt > silence ? 'quiet' : '');
      this.#frame = requestAnimationFrame(draw);
    };
    this.#frame = requestAnimationFrame(draw);
    this.#timer = setInterval(() => {
      const db = Math.round(level);
      meter.ariaValueNow = db;
      meter.ariaValueText = db <= floor ? 'silence' : `${db} décibels`;
    }, 500);
  }

  close() {
    cancelAnimationFrame(this.#frame);
    clearInterval(this.#timer);
    this.#context.close();
    const { bar, peak, meter } = this.#parts; // nothing is measured any more
    bar.style.clipPath = '';
    peak.style.opacity = '';
    meter.ariaValueNow = floor;
    meter.ariaValueText = 'silence';
  }
}
