// What went to the server and what came from it, for the drawer "Under the hood": a ring with bounds on count and size,
// without anything secret. It is pure: it knows neither the network nor React.

export type Kind = 'query' | 'mutation' | 'subscription' | 'event';

export interface Entry {
  id: number;
  kind: Kind;
  /** The operation's name, or the type of the event. */
  name: string;
  /** When it was sent or came, in ms since 1970. */
  at: number;
  /** How long the answer took, in ms; null until it came, and for events. */
  took: number | null;
  document: string;
  variables: unknown;
  /** The answer, or the event. */
  answer: unknown;
  /** Why it was refused; cancelled where the page did not wait for the answer. */
  code: string | null;
}

export interface Operation {
  name: string;
  document?: string;
  variables?: unknown;
  answer?: unknown;
  code?: string | null;
  took?: number | null;
}

export interface Recorder {
  /** record keeps an operation or an event, and returns its id for answered. */
  record(kind: Kind, operation: Operation): number;
  /** answered adds what came of an operation; nothing happens when the ring has let it go. */
  answered(id: number, outcome: { answer?: unknown; code?: string | null }): void;
  clear(): void;
  subscribe(listener: () => void): () => void;
  /** getSnapshot returns the entries, oldest first; the same list until something changes. */
  getSnapshot(): readonly Entry[];
}

export interface Bounds {
  count: number;
  /** Characters of documents, variables and answers as JSON. */
  size: number;
}

/** In place of a code of the server, which are all in capitals. */
export const cancelled = 'cancelled';

/** What is put in place of a secret. */
export const hidden = '•••';

const secretKey = /password|token|secret|authori[sz]ation|cookie|api-?_?key|invitation|^code$/i;
const secretOperation = /sign_?-?(in|up)|refreshSession|createSession|password/i;
const maxText = 20_000;
const maxItems = 200;
const maxDepth = 12;

/** redacted returns a copy without secrets, and bounded, so that one huge answer does not push all others out. */
export function redacted(value: unknown, depth = 0): unknown {
  if (typeof value === 'string') return value.length > maxText ? `${value.slice(0, maxText)}…` : withoutTokens(value);
  if (typeof value !== 'object' || value === null) return typeof value === 'bigint' ? String(value) : value;
  if (depth >= maxDepth) return '…';
  if (Array.isArray(value)) return value.slice(0, maxItems).map((item) => redacted(item, depth + 1));
  const entries = Object.entries(value).slice(0, maxItems);
  return Object.fromEntries(
    entries.map(([key, item]) => [key, secretKey.test(key) && item !== null ? hidden : redacted(item, depth + 1)]),
  );
}

/** withoutTokens hides what looks like a token wherever it stands, for example in a document with literal values. */
function withoutTokens(text: string): string {
  return text
    .replace(/\beyJ[\w-]+\.[\w-]+\.[\w-]*/g, hidden)
    .replace(/\bBearer\s+\S+/gi, `Bearer ${hidden}`)
    .replace(/\b(\w*(?:password|token|secret)\w*\s*:\s*)"(?:[^"\\]|\\.)*"/gi, `$1"${hidden}"`);
}

/** hush keeps the names of variables of a sign-in, and nothing of what they say. */
function hush(value: unknown, depth = 0): unknown {
  if (typeof value !== 'object' || value === null || depth >= maxDepth) return hidden;
  if (Array.isArray(value)) return value.slice(0, maxItems).map((item) => hush(item, depth + 1));
  return Object.fromEntries(
    Object.entries(value)
      .slice(0, maxItems)
      .map(([key, item]) => [key, hush(item, depth + 1)]),
  );
}

/** newRecorder returns an empty ring. now may be given by tests. */
export function newRecorder(bounds: Bounds = { count: 300, size: 1_000_000 }, now: () => number = Date.now): Recorder {
  let entries: readonly Entry[] = [];
  const sizes = new Map<number, number>();
  let size = 0;
  let last = 0;
  const listeners = new Set<() => void>();

  function set(next: Entry[], changed: Entry) {
    const its = sizeOf(changed);
    size += its - (sizes.get(changed.id) ?? 0);
    sizes.set(changed.id, its);
    while (next.length > bounds.count || (size > bounds.size && next.length > 0)) {
      const gone = next.shift()!;
      size -= sizes.get(gone.id) ?? 0;
      sizes.delete(gone.id);
    }
    entries = next;
    for (const listener of [...listeners]) listener();
  }

  return {
    record(kind, { name, document = '', variables = null, answer = null, code = null, took = null }) {
      const id = ++last;
      const isSecret = secretOperation.test(name) || secretOperation.test(document);
      const entry: Entry = {
        id,
        kind,
        name,
        at: now(),
        took,
        document: withoutTokens(document.slice(0, maxText)),
        variables: isSecret ? variables && hush(variables) : redacted(variables),
        answer: redacted(answer),
        code,
      };
      set([...entries, entry], entry);
      return id;
    },
    answered(id, { answer = null, code = null }) {
      const before = entries.find((entry) => entry.id === id);
      if (!before) return;
      const entry = { ...before, answer: redacted(answer), code, took: now() - before.at };
      set(
        entries.map((other) => (other.id === id ? entry : other)),
        entry,
      );
    },
    clear() {
      entries = [];
      sizes.clear();
      size = 0;
      for (const listener of [...listeners]) listener();
    },
    subscribe(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    getSnapshot: () => entries,
  };
}

function sizeOf({ name, document, variables, answer }: Entry): number {
  return name.length + document.length + textOf(variables).length + textOf(answer).length;
}

function textOf(value: unknown): string {
  try {
    return JSON.stringify(value) ?? '';
  } catch {
    return '';
  }
}

/** asCurl returns the operation for a shell. The token is a variable of the shell: it is never in the text. */
export function asCurl({ document, variables }: Entry, origin: string): string {
  const quoted = (text: string) => `'${text.replaceAll("'", `'\\''`)}'`;
  const body = JSON.stringify({ query: document, variables: variables ?? undefined });
  return [
    `curl ${quoted(`${origin}/graphql`)}`,
    `-H 'Content-Type: application/json'`,
    `-H "Authorization: Bearer $PARLEY_TOKEN"`,
    `--data-raw ${quoted(body)}`,
  ].join(' \\\n  ');
}

/** The recorder of the page. */
export const recorder = newRecorder();
