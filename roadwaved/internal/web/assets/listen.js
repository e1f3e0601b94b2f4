// The page of one live or one replay: which of the two is what the id says.

import { Visit } from './audience.js';
import { $, aboutLive, clock, date, element, every, getJSON, show, spoken, trying } from './page.js';
import { Player } from './player.js';
import { Reactions } from './reactions.js';

const main = $('main');
const audio = $('audio');
const player = new Player(audio);
const id = decodeURIComponent(location.pathname.split('/').pop());

let live; // the live as last read, undefined on a replay's page
let visit; // of the listener to that live
let reactions;
let over = false; // the live has ended
let trouble = false;
let soundAt = Date.now(); // when it was last not waited for

const badge = (text, kind) => {
  $('badge').className = `badge ${kind}`;
  show($('badge'), text);
};

async function open() {
  try {
    openLive(await getJSON(`/v1/lives/${encodeURIComponent(id)}`));
  } catch (error) {
    if (error.status !== 404 && error.status !== 422) return unavailable(error);
    try {
      openReplay(await getJSON(`/v1/replays/${encodeURIComponent(id)}`));
    } catch (second) {
      unavailable(second);
    }
  }
}

function unavailable(error) {
  main.ariaBusy = 'false';
  if (error.status === 404 || error.status === 422) {
    $('title').textContent = 'Ce live ou ce replay n’existe pas';
    show($('about'), 'Il a peut-être été retiré.');
    return;
  }
  $('title').textContent = 'Un instant…';
  show($('about'), trying(error));
  setTimeout(open, 4000);
}

function describe(title, about, tags) {
  main.ariaBusy = 'false';
  document.title = `${title} · RoadWave`;
  $('title').textContent = title;
  show($('about'), about);
  $('tags').replaceChildren(...tags.map((tag) => element('li', { textContent: tag })));
  if (navigator.mediaSession) {
    navigator.mediaSession.metadata = new MediaMetadata({ title, artist: about, artwork: [{ src: '/assets/icon.svg', type: 'image/svg+xml', sizes: 'any' }] });
  }
}

// A live.

function openLive(answer) {
  live = answer;
  main.dataset.kind = 'live';
  describe(live.title, aboutLive(live), live.tags);
  if (live.state !== 'on_air') return finish(live.message);
  badge('EN DIRECT', 'live');
  every(30_000, () => show($('since'), `depuis ${spoken((Date.now() - Date.parse(live.started_at)) / 1000)}`));
  $('stage').hidden = $('controls').hidden = false;
  player.load(live.hls_url, { live: true });
  audio.addEventListener('ended', quiet);
  visit = new Visit(id);
  reactions = new Reactions(id, visit);
  reactions.count(live);
  for (const name of ['play', 'playing']) audio.addEventListener(name, () => { if (!over) visit.enter(); });
  audio.addEventListener('timeupdate', () => visit.hear());
  audio.addEventListener('pause', () => visit.leave());
  addEventListener('pagehide', () => visit.leave());
  addEventListener('pageshow', () => { if (!audio.paused && !over) visit.enter(); }); // back from the browser's memory
  followLive();
}

// followLive shows the counters of the live as they change, and waits for its
// end. A stream that is cut comes back by
// itself; one that is refused is replaced by asking now and then.
function followLive() {
  const events = new EventSource(`/v1/lives/${encodeURIComponent(id)}/events`);
  events.addEventListener('counters', (event) => { if (!over) reactions.count(JSON.parse(event.data)); });
  events.addEventListener('ended', (event) => {
    events.close();
    finish(JSON.parse(event.data).message);
  });
  events.addEventListener('error', () => {
    if (events.readyState !== EventSource.CLOSED || over) return;
    const stop = every(8000, async () => {
      const answer = await getJSON(`/v1/lives/${encodeURIComponent(id)}`).catch(() => undefined);
      if (answer === undefined) return;
      if (answer.state === 'on_air') return reactions.count(answer);
      stop();
      finish(answer.message);
    });
  });
}

// finish tells that the live is over. Who listens hears the last seconds out:
// what they hear is as old as their buffer is long.
function finish(message) {
  if (over) return;
  over = true;
  visit?.end();
  reactions?.end();
  badge('TERMINÉ', '');
  show($('since'), '');
  $('over').hidden = false;
  $('over-message').textContent = message;
  if (audio.paused || trouble) quiet();
  refresh();
  followReplay();
}

// quiet is when nothing is left to hear.
function quiet() {
  player.unload();
  $('stage').hidden = $('controls').hidden = true;
  show($('status'), '');
}

function followReplay() {
  const stop = every(2000, async () => {
    const answer = await getJSON(`/v1/lives/${encodeURIComponent(id)}`).catch(() => undefined);
    if (answer && showReplay(answer.replay ?? { state: 'pending' })) stop();
  });
}

// showReplay tells how far the replay is, and whether that is final.
function showReplay({ state, progress, replay_id: replay }) {
  const text = {
    uploading: 'L’enregistrement part vers l’atelier.',
    pending: 'Le replay va bientôt se préparer.',
    running: `Le replay se prépare : ${Math.round(progress * 100)} %`,
    done: 'Le replay est prêt.',
    empty: 'Rien n’a été enregistré : il n’y aura pas de replay.',
    parked: 'Le replay n’a pas pu être préparé. L’équipe va s’en occuper.',
  }[state];
  show($('over-replay'), text);
  $('over-progress').hidden = state !== 'running' && state !== 'pending' && state !== 'uploading';
  if (state === 'running') $('over-progress').value = progress;
  if (state === 'done') {
    $('over-link').href = `/listen/${encodeURIComponent(replay)}`;
    $('over-link').hidden = false;
  }
  return state === 'done' || state === 'empty' || state === 'parked';
}

// A replay.

function openReplay(replay) {
  main.dataset.kind = 'replay';
  describe(replay.title, `${spoken(replay.duration_seconds)} · ${date(replay.published_at)}`, []);
  badge('REPLAY', 'replay');
  $('stage').hidden = $('controls').hidden = false;
  $('mp3').href = replay.mp3_url;
  $('seek').max = Math.round(replay.duration_seconds);
  $('duration').textContent = clock(Math.round(replay.duration_seconds));
  audio.addEventListener('timeupdate', showPosition);
  audio.addEventListener('seeking', showPosition);
  $('seek').addEventListener('input', () => seek(Number($('seek').value)));
  $('back').addEventListener('click', () => skip(-15));
  $('forward').addEventListener('click', () => skip(30));
  $('speed').addEventListener('change', () => { audio.playbackRate = audio.defaultPlaybackRate = Number($('speed').value); });
  navigator.mediaSession?.setActionHandler?.('seekbackward', () => skip(-15));
  navigator.mediaSession?.setActionHandler?.('seekforward', () => skip(30));
  showPosition();
  player.load(replay.hls_url, { live: false });
}

function skip(seconds) {
  if (audio.ended && seconds > 0) return;
  seek(Math.min(Math.max(0, audio.currentTime + seconds), Number($('seek').max)));
}

// seek goes elsewhere in the replay. At its end sound has stopped by itself, and
// who goes back from there wants to hear.
function seek(position) {
  const { ended } = audio;
  audio.currentTime = position;
  if (ended) player.play().catch(() => {}); // pressed pause at once
}

function showPosition() {
  $('seek').value = audio.currentTime;
  $('seek').ariaValueText = `${spoken(audio.currentTime)} sur ${spoken(Number($('seek').max))}`;
  $('position').textContent = clock(audio.currentTime);
}

// Both.

function toggle() {
  if (audio.paused) player.play().catch(() => {}); // a second press came first
  else player.pause();
}

const waiting = () => !audio.paused && audio.readyState < HTMLMediaElement.HAVE_FUTURE_DATA && !audio.ended;

function refresh() {
  const play = $('play');
  if (!waiting()) soundAt = Date.now();
  play.classList.toggle('waiting', waiting());
  play.classList.toggle('playing', !audio.paused && !waiting());
  play.ariaLabel = audio.paused ? 'Écouter' : live ? 'Arrêter' : 'Pause';
  show($('status'), statusText());
  const late = player.behind;
  main.dataset.behind = late === undefined ? '' : late.toFixed(2);
  $('to-live').hidden = !live || over || audio.paused || late === undefined || late < player.holdBack + 8;
}

function statusText() {
  if (trouble && !over) return 'Connexion perdue, nouvelle tentative…';
  if (waiting()) return Date.now() - soundAt < 12_000 ? 'Le son arrive…' : 'Le son n’arrive plus, nouvelle tentative…';
  if (!live) return '';
  if (over) return audio.paused ? '' : 'Vous entendez les dernières secondes.';
  if (audio.paused) return 'Appuyez pour écouter';
  const late = player.behind;
  return late === undefined ? 'En direct' : `En direct, environ ${5 * Math.round(late / 5)} s après le studio`;
}

$('play').addEventListener('click', toggle);
$('to-live').addEventListener('click', () => player.toLive());
$('volume').addEventListener('input', () => { audio.volume = Number($('volume').value); });
for (const name of ['play', 'pause', 'playing', 'waiting', 'ended', 'canplay', 'emptied']) audio.addEventListener(name, refresh);
setInterval(refresh, 1000);
player.addEventListener('trouble', () => {
  trouble = true;
  if (over && player.dry) quiet();
  refresh();
});
player.addEventListener('fine', () => { trouble = false; });
navigator.mediaSession?.setActionHandler?.('play', toggle);
navigator.mediaSession?.setActionHandler?.('pause', toggle);

open();
