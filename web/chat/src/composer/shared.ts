// What another app has shared with this one: the system opens the page with it in the address (see share_target in
// manifest.webmanifest). It becomes the draft of a new talk, whoever signs in first, and is never sent by itself.

const key = 'parley:shared';
/** What is longer is cut: it is a start, and the address of a page has an end. */
const maxLength = 10_000;

/** A browser that keeps nothing has it until the page is loaded anew. */
let shared = '';
try {
  shared = sessionStorage.getItem(key) ?? '';
} catch {}

function keep(text: string) {
  shared = text;
  try {
    if (text) sessionStorage.setItem(key, text);
    else sessionStorage.removeItem(key);
  } catch {}
}

/** sharedIn reads what a query brings. Apps put an address into the text, the title, or both. */
export function sharedIn(search: string): string {
  const query = new URLSearchParams(search);
  const lines: string[] = [];
  for (const name of ['text', 'title', 'url']) {
    const line = (query.get(name) ?? '').replace(/[^\P{Cc}\n\t]/gu, '').trim();
    if (!line || lines.some((other) => other.includes(line))) continue;
    if (name === 'title') lines.unshift(line);
    else lines.push(line);
  }
  return lines
    .join('\n')
    .slice(0, maxLength)
    .replace(/[\uD800-\uDBFF]$/, '');
}

/** takeShared returns what was shared, once. */
export function takeShared(): string {
  const text = shared;
  if (text) keep('');
  return text;
}

if (typeof location !== 'undefined' && location.pathname === '/' && location.search) {
  const text = sharedIn(location.search);
  if (text) {
    keep(text);
    // A reload would bring it again, and an address is copied and kept.
    history.replaceState(history.state, '', '/');
  }
}
