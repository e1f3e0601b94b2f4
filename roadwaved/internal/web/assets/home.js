// The list of lives and replays. It refreshes by itself while it is seen.

import { $, aboutLive, counted, date, element, every, getJSON, show, spoken, trying } from './page.js';

const badge = (text, kind) => element('p', { className: `badge ${kind}`, textContent: text });

function liveCard(live) {
  const seconds = (Date.now() - Date.parse(live.started_at)) / 1000;
  return element('li', {}, element('article', { className: 'panel card' },
    element('div', { className: 'line' }, badge('EN DIRECT', 'live'),
      element('small', { textContent: seconds < 60 ? 'à l’instant' : `depuis ${spoken(seconds)}` })),
    element('h2', {}, element('a', { href: `/listen/${encodeURIComponent(live.live_id)}`, textContent: live.title })),
    element('p', { className: 'muted', textContent: aboutLive(live) }),
    element('ul', { className: 'tags' }, ...live.tags.map((tag) => element('li', { textContent: tag }))),
    element('div', { className: 'line foot' },
      element('p', { className: 'listen', ariaHidden: 'true' }, element('span', { className: 'disc' }), 'Écouter'),
      element('p', { className: 'audience', textContent: live.listeners ? counted(live.listeners, 'auditeur') : '', hidden: !live.listeners }))));
}

function replayRow(replay) {
  return element('li', {}, element('article', { className: 'panel row' },
    element('span', { className: 'disc', ariaHidden: 'true' }),
    element('div', { className: 'text' },
      element('a', { href: `/listen/${encodeURIComponent(replay.replay_id)}`, textContent: replay.title }),
      element('p', {}, element('small', { textContent: `${spoken(replay.duration_seconds)} · ${date(replay.published_at)}` })))));
}

// fill replaces the rows of a list only when they changed, so that focus and
// screen readers are left alone.
function fill(list, items, key, row) {
  const state = JSON.stringify(items.map(key));
  list.ariaBusy = 'false';
  if (list.dataset.state === state) return;
  list.dataset.state = state;
  const focused = list.contains(document.activeElement) ? document.activeElement.getAttribute('href') : null;
  list.replaceChildren(...items.map(row));
  if (focused) list.querySelector(`a[href="${CSS.escape(focused)}"]`)?.focus();
}

async function refreshLives() {
  const query = search();
  try {
    const { lives } = await getJSON(`/v1/lives?limit=100${query && `&q=${encodeURIComponent(query)}`}`);
    if (query !== search()) return; // they typed on: another answer is on its way
    const minute = Math.floor(Date.now() / 60000);
    fill($('lives'), lives, (l) => [l.live_id, l.title, l.listeners, minute], liveCard);
    $('search').hidden = !query && lives.length < searchable;
    $('no-lives').hidden = lives.length > 0 || Boolean(query);
    show($('none-found'), query && lives.length === 0 ? `Aucun live ne s’appelle « ${query} » en ce moment.` : '');
    show($('trouble'), '');
  } catch (error) {
    if (query === search()) show($('trouble'), trying(error));
  }
}

// With fewer lives than that there is nothing to search.
const searchable = 6;

// The server looks for words of two letters or digits at least.
const search = () => {
  const text = $('q').value.trim();
  return /[\p{L}\p{N}]\p{M}*[\p{L}\p{N}]/u.test(text) ? text : '';
};

let typing;
$('q').addEventListener('input', () => {
  clearTimeout(typing);
  typing = setTimeout(refreshLives, 300);
});
$('search').addEventListener('submit', (event) => {
  event.preventDefault();
  refreshLives();
});

let older = []; // replays beyond the first page, fetched on demand
let next = null; // where the page after them begins

async function refreshReplays() {
  let page;
  try {
    page = await getJSON('/v1/replays?limit=20');
  } catch {
    return; // refreshLives tells
  }
  if (older.length === 0) next = page.next_before;
  const seen = new Set(page.replays.map((r) => r.replay_id));
  const all = [...page.replays, ...older.filter((r) => !seen.has(r.replay_id))];
  fill($('replays'), all, (r) => r.replay_id, replayRow);
  $('no-replays').hidden = all.length > 0;
  $('more').hidden = !next;
}

$('more').addEventListener('click', async () => {
  $('more').disabled = true;
  try {
    const page = await getJSON(`/v1/replays?limit=20&before=${encodeURIComponent(next)}`);
    older = [...older, ...page.replays];
    next = page.next_before;
    await refreshReplays();
  } catch (error) {
    show($('trouble'), error.message);
  }
  $('more').disabled = false;
});

every(5000, refreshLives);
every(15000, refreshReplays);
