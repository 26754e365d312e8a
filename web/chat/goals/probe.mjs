// What watches a page from inside, the chat page and the baseline alike. It is put in before anything of the page runs,
// as text: it uses nothing from outside of it.
export function probe() {
  const arrivals = new Map();
  const shown = new Map();
  const marks = /\bm\d+m\b/g;
  const goals = { arrivals, shown, frames: [], keys: [], commits: 0, ready: 0, waits: [] };
  Object.assign(goals, { finished: 0, snapshots: 0 });
  globalThis.goals = goals;

  // React tells its developer tools of each commit, in production as well.
  const hook = { supportsFiber: true, renderers: new Map(), inject: () => 1, onCommitFiberUnmount() {} };
  hook.onCommitFiberRoot = () => void goals.commits++;
  globalThis.__REACT_DEVTOOLS_GLOBAL_HOOK__ = hook;

  let tail = '';
  const take = (data) => {
    if (data.includes('"MessageFinished"')) goals.finished++;
    if (data.includes('"ConversationSnapshot"')) goals.snapshots++;
    const text = data.includes('Delta"') && /"text":("(?:[^"\\]|\\.)*")/.exec(data)?.[1];
    if (!text) return;
    const come = JSON.parse(text);
    tail = (tail + come).slice(-400);
    for (const [mark] of tail.matchAll(marks)) if (!arrivals.has(mark)) arrivals.set(mark, performance.now());
  };
  globalThis.WebSocket = class extends WebSocket {
    constructor(...args) {
      super(...args);
      this.addEventListener('message', ({ data }) => take(data));
    }
  };

  /** The newest marks of what has changed. */
  const look = (text, now) => {
    for (const [mark] of text.slice(-600).matchAll(marks))
      if (arrivals.has(mark) && !shown.has(mark)) shown.set(mark, now);
  };
  const endOf = (node) => {
    let last = node;
    while (last?.nodeType === 1 && last.lastChild) last = last.lastChild;
    const text = node.textContent ?? '';
    return text.length < 2000 ? text : (last?.textContent ?? '');
  };
  const observer = new MutationObserver((records) => {
    const now = performance.now();
    for (const { type, target, addedNodes } of records) {
      if (type === 'characterData') look(target.data, now);
      else for (const node of addedNodes) look(endOf(node), now);
    }
    for (const wait of goals.waits.splice(0)) if (!wait()) goals.waits.push(wait);
  });
  observer.observe(document, { subtree: true, childList: true, characterData: true });

  /** How much text the newest message shows. */
  goals.length = () => [...document.querySelectorAll('article')].at(-1)?.textContent.length ?? 0;

  goals.watch = () => {
    for (const one of [arrivals, shown]) one.clear();
    Object.assign(goals, { frames: [], keys: [], commits: 0, isOn: true });
    let before = performance.now();
    const next = (now) => {
      goals.frames.push(now - before);
      before = now;
      if (goals.isOn) requestAnimationFrame(next);
    };
    requestAnimationFrame(next);
  };
  new PerformanceObserver((list) => {
    for (const { name, duration } of list.getEntries()) if (name === 'keydown') goals.keys.push(duration);
  }).observe({ type: 'event', durationThreshold: 16 });

  // Interactive: there is something to type in, and the page has come to rest after it was put there.
  goals.waits.push(() => {
    const field = document.querySelector('input:not([type=hidden]):not(:disabled), textarea:not(:disabled)');
    if (field) requestAnimationFrame(() => setTimeout(() => (goals.ready = performance.now())));
    return field !== null;
  });
}
