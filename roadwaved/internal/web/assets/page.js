// What every page uses: elements, answers of the API, times in French.

export const $ = (id) => document.getElementById(id);

// element makes <name> with properties and children; text is always text.
export function element(name, properties = {}, ...children) {
  const e = Object.assign(document.createElement(name), properties);
  e.append(...children);
  return e;
}

// show puts text into an element and hides it when there is none.
export function show(e, text) {
  if (e.textContent !== text) e.textContent = text;
  e.hidden = !text;
}

// A Problem is an error that the server told (RFC 9457), or status 0 when no
// server answered.
export class Problem extends Error {
  constructor(status, code, detail) {
    super(detail);
    Object.assign(this, { status, code });
  }
}

// problemOf reads what a response that is not ok says.
export async function problemOf(response) {
  let body = {};
  try {
    body = await response.json();
  } catch { /* a proxy's own page: the status has to do */ }
  return new Problem(response.status, body.code ?? '', body.detail ?? '');
}

// getJSON reads an answer of the API; it throws a Problem.
export async function getJSON(path, { timeout = 8000 } = {}) {
  let response;
  try {
    response = await fetch(path, { cache: 'no-store', signal: AbortSignal.timeout(timeout) });
  } catch {
    throw new Problem(0, 'unreachable', 'Le serveur ne répond pas.');
  }
  if (!response.ok) throw await problemOf(response);
  return response.json();
}

// trying says that a page will ask again by itself.
export const trying = ({ status, message }) =>
  `${status === 0 ? message : 'Le serveur est momentanément indisponible.'} Nouvelle tentative dans quelques secondes.`;

// clock writes seconds as 1:02:03 or 02:03.
export function clock(seconds) {
  const s = Math.max(0, Math.floor(seconds));
  const two = (n) => String(n).padStart(2, '0');
  const minutes = `${two(Math.floor(s / 60) % 60)}:${two(s % 60)}`;
  return s >= 3600 ? `${Math.floor(s / 3600)}:${minutes}` : minutes;
}

// spoken writes seconds as people say them: "1 h 05", "12 min", "40 s".
export function spoken(seconds) {
  const s = Math.round(seconds);
  if (s < 60) return `${s} s`;
  const minutes = Math.round(s / 60);
  if (minutes < 60) return `${minutes} min`;
  return `${Math.floor(minutes / 60)} h ${String(minutes % 60).padStart(2, '0')}`;
}

// counted writes a number and what it counts: "1 auditeur", "1 204 auditeurs".
export const counted = (n, what) => `${n.toLocaleString('fr')} ${what}${n > 1 ? 's' : ''}`;

const dateFormat = new Intl.DateTimeFormat('fr', { dateStyle: 'long', timeStyle: 'short' });
export const date = (iso) => dateFormat.format(new Date(iso));

// aboutLive is the line under a title: who, where, for whom.
export function aboutLive(live) {
  const age = /^-(\d+)$/.exec(live.classification_age);
  return [live.creator_id, live.zone_geo, age && `déconseillé aux moins de ${age[1]} ans`].filter(Boolean).join(' · ');
}

// every calls f now and then every interval ms while the page is seen, one
// call at a time, until the returned function is called.
export function every(interval, f) {
  let timer, stopped = false, running = false;
  const run = async () => {
    clearTimeout(timer);
    if (stopped || running || document.hidden) return;
    running = true;
    try {
      await f();
    } finally {
      running = false;
    }
    if (!stopped) timer = setTimeout(run, interval);
  };
  const seen = () => { if (!document.hidden) run(); };
  document.addEventListener('visibilitychange', seen);
  run();
  return () => {
    stopped = true;
    clearTimeout(timer);
    document.removeEventListener('visibilitychange', seen);
  };
}

for (const link of document.querySelectorAll('.top nav a')) {
  if (link.pathname === location.pathname) link.setAttribute('aria-current', 'page');
}
