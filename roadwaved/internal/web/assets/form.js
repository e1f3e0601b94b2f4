// The studio's form: what the creator says about the live.

// description is the query that goes with the offer.
export function description(form) {
  const query = new URLSearchParams();
  for (const name of ['title', 'zone_geo', 'classification_age']) {
    const value = form.elements[name].value.trim();
    if (value) query.append(name, value);
  }
  for (const tag of tagsOf(form)) query.append('tag', tag);
  return query;
}

// tokenOf is what goes into an Authorization header (RFC 6750 §2.1): the token
// the creator was given, or else their name, made fit for it, for a server that
// asks for no more.
export function tokenOf(form) {
  return accessToken(form) || form.elements.creator.value.trim().toLowerCase().normalize('NFD').replace(/[\u0300-\u036f]/g, '')
    .replace(/[^a-z0-9._~+/-]+/g, '-').replace(/^-+|-+$/g, '');
}

// accessToken is the token as it was pasted, with what people copy around it.
export const accessToken = (form) => form.elements.token.value.replace(/^\s*bearer\s+/i, '').replace(/\s+/g, '');

const tokenKey = 'studio.token';

// recallToken takes the token this tab knows already, or one from the address
// (#token=…), out of sight at once. Anybody can write such an address: where both
// are there, the dialog asks the creator, who keeps theirs unless they say otherwise.
export function recallToken(form, dialog) {
  const given = new URLSearchParams(location.hash.slice(1)).get('token');
  if (given) history.replaceState(history.state, '', location.pathname + location.search);
  const kept = keptToken();
  useToken(form, kept || given || '');
  if (!given || !kept || given === kept) return;
  const [replace, keep] = dialog.querySelectorAll('button');
  replace.onclick = () => { useToken(form, given); dialog.close(); };
  keep.onclick = () => dialog.close();
  dialog.showModal();
}

function keptToken() {
  try {
    return sessionStorage.getItem(tokenKey);
  } catch { // no memory here
    return null;
  }
}

function useToken(form, token) {
  form.elements.token.value = token;
  try {
    sessionStorage.setItem(tokenKey, token);
  } catch { /* no memory here: for this page alone */ }
}

const tagsOf = (form) => form.elements.tags.value.split(',').map((tag) => tag.trim()).filter(Boolean);

// checkTags tells what is wrong with the tags before the server does.
export function checkTags(form) {
  const field = form.elements.tags;
  const { maxTags, maxTag } = field.dataset;
  const check = () => {
    const tags = tagsOf(form);
    let wrong = '';
    if (tags.length > maxTags) wrong = `${maxTags} mots-clés au plus.`;
    else if (tags.some((tag) => [...tag].length > maxTag)) wrong = `Un mot-clé a ${maxTag} caractères au plus.`;
    field.setCustomValidity(wrong);
  };
  field.addEventListener('input', check);
  check();
}

// What is the same from one live to the next is remembered in this browser.
const remembered = ['creator', 'zone_geo', 'classification_age', 'tags'];

export function remember(form) {
  try {
    sessionStorage.setItem(tokenKey, accessToken(form)); // never longer than the tab
    for (const name of remembered) localStorage.setItem(`studio.${name}`, form.elements[name].value);
  } catch { /* private browsing: then not */ }
}

export function recall(form) {
  try {
    for (const name of remembered) form.elements[name].value = localStorage.getItem(`studio.${name}`) ?? form.elements[name].value;
  } catch { /* private browsing */ }
}
