// The studio: from the microphone to the air, and back.

import { follow } from './events.js';
import { accessToken, checkTags, description, recall, recallToken, remember, tokenOf } from './form.js';
import { Meter } from './meter.js';
import { listMicrophones, openMicrophone } from './microphone.js';
import { $, clock, counted, getJSON, show } from './page.js';
import { Publication } from './whip.js';

const bitrate = 48_000; // bits per second, where Opus starts
const patience = 15_000; // ms without a connection until the live counts as lost
const lost = 'Connexion perdue. Veuillez redémarrer le live';

const main = $('main');
const form = $('form');
const field = (name) => form.elements[name];

let microphone; // MediaStream, while it is open
let meter;
let live; // { publication, token, since, timers, stop } while connecting or on air

// The microphone.

const processing = ['echoCancellation', 'noiseSuppression', 'autoGainControl'];

const wanted = () => ({
  device: field('device').value,
  stereo: field('stereo').checked,
  ...Object.fromEntries(processing.map((name) => [name, field(name).checked])),
});

async function openMic() {
  if (microphone) return;
  microphone = await openMicrophone(wanted());
  const [track] = microphone.getAudioTracks();
  track.addEventListener('ended', () => {
    closeMic();
    if (live) warn('Le micro s’est arrêté. Rouvrez-le ou choisissez-en un autre ci-dessous.');
  });
  track.addEventListener('mute', () => warn('Le micro est coupé par le téléphone ou le navigateur.'));
  track.addEventListener('unmute', () => warn(''));
  meter = new Meter(microphone, { bar: $('meter-bar'), peak: $('meter-peak'), meter: $('meter'), tell: hint });
  $('open-mic').hidden = true;
  await live?.publication.sender.replaceTrack(track);
  warn('');
  await listMicrophones($('device'));
}

function closeMic() {
  meter?.close();
  microphone?.getTracks().forEach((track) => track.stop());
  meter = microphone = undefined;
  $('open-mic').hidden = false;
  $('open-mic').textContent = live ? 'Rouvrir le micro' : 'Essayer le micro';
  show($('meter-hint'), 'Le niveau s’affiche quand le micro est ouvert.');
}

function hint(what) {
  show($('meter-hint'), {
    quiet: 'On n’entend rien : parlez, ou choisissez un autre micro.',
    clipping: 'Trop fort : éloignez le micro ou baissez son niveau.',
  }[what] ?? 'Parlez : le niveau doit rester dans le vert.');
}

// changeMic applies another device or setting, on air too: there the one before may
// have been unplugged.
async function changeMic() {
  if (!microphone && !live) return;
  closeMic();
  await openMic();
}

// On air.

async function goLive() {
  enter('connecting');
  try {
    await openMic();
    const token = tokenOf(form);
    const publication = new Publication({ stream: microphone, token, bitrate, stereo: field('stereo').checked });
    live = { publication, token, since: Date.now(), stop: new AbortController(), timers: [] };
    await publication.start(`/whip?${description(form)}`);
  } catch (error) {
    live?.publication.end();
    live = undefined;
    enter('idle');
    fail(reason(error));
    if (error.status === 401) askForToken();
    return;
  }
  onAir(live);
}

const houseCodes = /^(full|away|not-yours|too-many-requests|invalid.*|token-.*)$/;

function askForToken() {
  $('access').open = true;
  field('token').focus();
}

// reason says in French why a live did not begin. What the house answers is
// French already; what the protocol answers is for engineers.
function reason({ status, code, message }) {
  if (status === 401 && !accessToken(form)) return 'Ce serveur demande un jeton d’accès. Collez le vôtre ci-dessous.';
  if (message && (status === 0 || houseCodes.test(code ?? ''))) return message;
  return {
    401: 'Le serveur ne reconnaît pas votre jeton d’accès.',
    429: 'Trop de demandes à la fois. Veuillez réessayer dans quelques instants.',
    403: 'Vous n’avez pas le droit de passer à l’antenne.',
    422: 'Le serveur ne comprend pas le son de ce navigateur.',
    503: 'Le serveur ne peut pas prendre ce live. Veuillez réessayer dans quelques minutes.',
  }[status] ?? 'Le live n’a pas pu commencer. Veuillez réessayer dans quelques instants.';
}

async function onAir(it) {
  it.since = Date.now();
  it.good = it.since;
  $('onair-title').textContent = field('title').value.trim() || 'Votre live';
  $('listen-link').href = `/listen/${encodeURIComponent(it.publication.id)}`;
  enter('onair');
  state('À L’ANTENNE', 'live');
  it.publication.addEventListener('state', ({ detail }) => connection(it, detail));
  it.timers.push(setInterval(() => { $('elapsed').textContent = clock((Date.now() - it.since) / 1000); }, 500));
  it.timers.push(setInterval(() => network(it), 2000));
  listenToServer(it);
  stayAwake(it);
  await it.publication.limit(bitrate).catch(() => {}); // the SDP answer asked for it already
  getJSON(`/v1/lives/${it.publication.id}`).then((known) => {
    $('onair-title').textContent = known.title;
    if (!$('audience').textContent) audience(known);
  }, () => {});
}

function connection(it, now) {
  if (live !== it) return;
  if (now === 'connected') {
    it.good = Date.now();
    state('À L’ANTENNE', 'live');
    warn('');
  } else if (now === 'disconnected' || now === 'failed') {
    state('INSTABLE', 'shaky');
    warn('Connexion instable : le live cherche un autre chemin.');
    reconnect(it);
  }
}

// reconnect restarts ICE until sound flows again, the server says that the
// live is over, or patience runs out.
async function reconnect(it) {
  if (it.reconnecting) return;
  it.reconnecting = true;
  while (live === it && it.publication.state !== 'connected') {
    if (Date.now() - it.good > patience) {
      leave(it, lost);
      break;
    }
    try {
      await it.publication.restart();
      await pause(4000);
    } catch (error) {
      if (error.status === 404 || error.status === 410) leave(it, lost);
      else await pause(1500);
    }
  }
  it.reconnecting = false;
}

const pause = (ms) => new Promise((done) => setTimeout(done, ms));

// network tells how well sound reaches the server.
async function network(it) {
  const { loss, roundTrip } = await it.publication.quality().catch(() => ({}));
  if (live !== it || it.publication.state !== 'connected') return;
  it.good = Date.now();
  if (loss === undefined) return;
  it.loss = it.loss === undefined ? loss : it.loss * 0.7 + loss * 0.3;
  const shaky = it.loss > 0.1;
  state(shaky ? 'INSTABLE' : 'À L’ANTENNE', shaky ? 'shaky' : 'live');
  const word = shaky ? 'instable' : it.loss > 0.03 ? 'moyen' : 'bon';
  const details = [it.loss >= 0.005 && `${Math.round(it.loss * 100)} % de pertes`, roundTrip !== undefined && `${Math.round(roundTrip * 1000)} ms`];
  show($('network'), `Réseau ${[word, ...details.filter(Boolean)].join(' · ')}`);
}

// listenToServer follows what the server tells the creator, and comes back
// when the stream is cut.
async function listenToServer(it) {
  const headers = it.token ? { Authorization: `Bearer ${it.token}` } : {};
  while (live === it) {
    await follow(`/whip/${encodeURIComponent(it.publication.id)}/events`, {
      headers,
      signal: it.stop.signal,
      on(type, event) {
        if (type === 'warning') warn(event.code === 'heard' ? '' : event.message);
        if (type === 'counters' && live === it) audience(event);
        if (type === 'ended') leave(it, event.message);
      },
    }).catch(() => {}); // sound may flow all the same
    await pause(3000);
  }
}

// audience tells the creator who is there.
function audience({ listeners, likes }) {
  if (listeners === undefined) return;
  show($('audience'), `${counted(listeners, 'auditeur')}${likes ? ` · ${likes.toLocaleString('fr')} j’aime` : ''}`);
}

async function stayAwake(it) {
  const ask = async () => {
    if (live === it && !document.hidden) it.wakeLock = await navigator.wakeLock?.request('screen').catch(() => undefined);
  };
  document.addEventListener('visibilitychange', ask, { signal: it.stop.signal });
  await ask();
}

// leave ends the live on this side; message says why.
function leave(it, message) {
  if (live !== it) return;
  live = undefined;
  it.timers.forEach(clearInterval);
  it.stop.abort();
  it.wakeLock?.release();
  it.publication.end();
  closeMic();
  if ($('confirm').open) $('confirm').close();
  enter('ended');
  $('ended-title').textContent = message;
  show($('ended-detail'), `Durée : ${clock((Date.now() - it.since) / 1000)}`);
  $('ended-link').classList.toggle('quiet', message === lost);
  $('again').classList.toggle('quiet', message !== lost);
  $('ended-link').href = `/listen/${encodeURIComponent(it.publication.id)}`;
  $('ended-title').focus();
}

// The page.

function enter(name) {
  main.dataset.state = name;
  $('onair').hidden = $('onair-actions').hidden = name !== 'onair';
  $('ended').hidden = name !== 'ended';
  $('go').disabled = name === 'connecting';
  $('go').textContent = name === 'connecting' ? 'Connexion…' : 'Passer à l’antenne';
  show($('network'), '');
  show($('audience'), '');
  warn('');
  if (name !== 'idle') fail('');
}

function state(text, kind) {
  if ($('state').textContent !== text) $('state').textContent = text;
  $('badge').className = `badge ${kind}`;
}

const warn = (text) => show($('warning'), text);

function fail(text) {
  show($('trouble'), text);
  if (text) $('trouble').scrollIntoView({ block: 'nearest' });
}

form.addEventListener('submit', (event) => {
  event.preventDefault();
  if (live || main.dataset.state !== 'idle') return;
  remember(form);
  goLive();
});

const guarded = (f) => () => f().catch((error) => fail(error.message));

$('open-mic').addEventListener('click', guarded(openMic));
for (const name of ['device', ...processing, 'stereo']) field(name).addEventListener('change', guarded(changeMic));

$('end').addEventListener('click', () => $('confirm').showModal());
$('confirm-stay').addEventListener('click', () => $('confirm').close());
$('confirm-end').addEventListener('click', () => live && leave(live, 'Le live est terminé'));
$('again').addEventListener('click', () => enter('idle'));

$('share').addEventListener('click', async () => {
  const url = $('listen-link').href;
  try {
    if (navigator.share) await navigator.share({ url, title: $('onair-title').textContent });
    else await navigator.clipboard.writeText(url);
    $('share').textContent = 'Lien copié';
  } catch {
    return; // the creator changed their mind
  }
  setTimeout(() => { $('share').textContent = 'Copier le lien'; }, 2500);
});

addEventListener('beforeunload', (event) => { if (live) event.preventDefault(); });
addEventListener('pagehide', () => live && leave(live, 'Le live est terminé'));
navigator.mediaDevices?.addEventListener?.('devicechange', () => (microphone || live) && listMicrophones($('device')));

recall(form);
recallToken(form, $('other-token'));
if (accessToken(form)) $('access').open = true;
checkTags(form);
enter('idle');
