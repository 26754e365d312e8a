// Where the focus goes when what had it is taken away: to what stands in its place now. Otherwise it would be nowhere,
// and who has no pointer would begin again at the top of the page.
let held: Element | null = null;
let isKeyed = false;

addEventListener('keydown', () => (isKeyed = true), true);
// A pointer goes where it wants to; a finger would only open the keyboard.
addEventListener('pointerdown', () => ((isKeyed = false), (held = null)), true);
addEventListener('focusin', ({ target }) => (held = target instanceof Element ? target : null), true);

const reached = 'a[href], button:enabled, input:enabled, textarea, summary, [tabindex="0"]';

/** The elements in a node that Tab reaches. */
function reachedIn(node: Node): HTMLElement[] {
  if (!(node instanceof HTMLElement)) return [];
  return [node, ...node.querySelectorAll<HTMLElement>('*')].filter(
    (one) => one.matches(reached) && one.tabIndex >= 0 && one.checkVisibility() && !one.closest('[inert]'),
  );
}

/** What is behind the place in parent that comes after a node, or else before it, or else around. */
function heirAt(parent: Node, after: Node | null): HTMLElement | undefined {
  for (let node = after ? after.nextSibling : parent.firstChild; node; node = node.nextSibling) {
    const [first] = reachedIn(node);
    if (first) return first;
  }
  for (let node = after; node; node = node.previousSibling) {
    const last = reachedIn(node).at(-1);
    if (last) return last;
  }
  return parent.parentNode && parent !== document.body ? heirAt(parent.parentNode, parent) : undefined;
}

function heirOf(lost: Node, records: MutationRecord[]): HTMLElement | undefined {
  const at = records.find(({ removedNodes }) => [...removedNodes].some((node) => node.contains(lost)));
  if (!at) return undefined;
  const { target, previousSibling: before } = at;
  if (!target.isConnected) return heirOf(target, records);
  return heirAt(target, before?.parentNode === target ? before : null);
}

/** Where the other half of the page has come, its first link skips to the talk, and is seen when it has the focus. So
 * the focus goes where it leads: into the box, but where that would open a keyboard on the screen. */
function past(heir: Element): Element | null {
  if (!heir.matches('.app-skip')) return heir;
  const main = document.getElementById('main');
  return (matchMedia('(pointer: coarse)').matches ? null : main?.querySelector('textarea')) ?? main;
}

new MutationObserver((records) => {
  if (!isKeyed || !held || document.activeElement !== document.body) return;
  const heir = held.isConnected && held.checkVisibility() ? held : heirOf(held, records);
  const place = heir && past(heir);
  if (place instanceof HTMLElement) place.focus();
}).observe(document.body, { childList: true, subtree: true });
