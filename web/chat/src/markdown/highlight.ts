// Colours of code, from a worker that starts with the first block that has a language.
import workerUrl from './highlight.worker.ts?worker&url';

/** Piece is a text, or classes with what they colour. */
export type Piece = string | [classes: string, inside: Piece[]];

interface Waiting {
  resolve(pieces: Piece[] | null): void;
}

let worker: Worker | null | undefined;
let last = 0;
const waiting = new Map<number, Waiting>();
let watch: ReturnType<typeof setTimeout> | undefined;
/** A grammar that takes longer for one block is lost in it; those behind would wait for ever. */
const patienceMs = 10_000;

/** highlight returns the pieces of a code, or null when there are no colours for it. It never rejects. */
export function highlight(text: string, language: string): Promise<Piece[] | null> {
  worker ??= start();
  if (!worker) return Promise.resolve(null);
  const id = ++last;
  worker.postMessage({ id, text, language });
  return new Promise((resolve) => {
    waiting.set(id, { resolve });
    if (waiting.size === 1) expect();
  });
}

function expect() {
  clearTimeout(watch);
  if (waiting.size > 0) watch = setTimeout(giveUp, patienceMs);
}

/** Code without colours is code all the same. */
function giveUp() {
  worker?.terminate();
  worker = undefined;
  for (const id of [...waiting.keys()]) settle(id, null);
}

function start(): Worker | null {
  if (typeof Worker === 'undefined') return null;
  try {
    const started = new Worker(trusted(workerUrl), { type: 'module' });
    started.onmessage = ({ data }: MessageEvent<{ id: number; pieces: Piece[] | null }>) =>
      settle(data.id, data.pieces);
    started.onerror = giveUp;
    return started;
  } catch {
    return null;
  }
}

function settle(id: number, pieces: Piece[] | null) {
  waiting.get(id)?.resolve(pieces);
  waiting.delete(id);
  expect();
}

interface TrustedTypes {
  createPolicy(name: string, rules: { createScriptURL(url: string): string }): { createScriptURL(url: string): string };
}

/** trusted makes the address of our own worker, and of nothing else, one that "require-trusted-types-for" takes. */
function trusted(url: string): string {
  const types = (globalThis as { trustedTypes?: TrustedTypes }).trustedTypes;
  if (!types) return url;
  const policy = types.createPolicy('parley-worker', {
    createScriptURL: (asked) => {
      if (asked !== workerUrl) throw new TypeError('not the worker of the page');
      return asked;
    },
  });
  return policy.createScriptURL(url);
}
