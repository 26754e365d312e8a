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
/** The events that hold a piece of a text. */
const isPiece = /Delta$/;
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
  /** Pieces of texts, as they came. They are short, come by the hundred a second, and are made entries when somebody
   * looks. */
  let pieces: (() => Entry)[] = [];

  function put(next: Entry[], changed: Entry) {
    const its = sizeOf(changed);
    size += its - (sizes.get(changed.id) ?? 0);
    sizes.set(changed.id, its);
    while (next.length > bounds.count || (size > bounds.size && next.length > 0)) {
      const gone = next.shift()!;
      size -= sizes.get(gone.id) ?? 0;
      sizes.delete(gone.id);
    }
    entries = next;
  }

  function tell() {
    for (const listener of [...listeners]) listener();
  }

  function gather() {
    if (pieces.length === 0) return;
    const made = pieces.map((make) => make());
    pieces = [];
    for (const entry of made) put([...entries, entry], entry);
  }

  return {
    record(kind, { name, document = '', variables = null, answer = null, code = null, took = null }) {
      const id = ++last;
      const at = now();
      const make = (): Entry => {
        const isSecret = secretOperation.test(name) || secretOperation.test(document);
        return {
          id,
          kind,
          name,
          at,
          took,
          document: withoutTokens(document.slice(0, maxText)),
          variables: isSecret ? variables && hush(variables) : redacted(variables),
          answer: redacted(answer),
          code,
        };
      };
      if (kind === 'event' && isPiece.test(name)) {
        pieces.push(make);
        // What would fall out of the ring is not kept until then.
        if (pieces.length > 2 * bounds.count) pieces = pieces.slice(-bounds.count);
      } else {
        gather();
        const entry = make();
        put([...entries, entry], entry);
      }
      tell();
      return id;
    },
    answered(id, { answer = null, code = null }) {
      gather();
      const before = entries.find((entry) => entry.id === id);
      if (!before) return;
      const entry = { ...before, answer: redacted(answer), code, took: now() - before.at };
      put(
        entries.map((other) => (other.id === id ? entry : other)),
        entry,
      );
      tell();
    },
    clear() {
      entries = [];
      pieces = [];
      sizes.clear();
      size = 0;
      tell();
    },
    subscribe(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    getSnapshot() {
      gather();
      return entries;
    },
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

/** An address longer than this is one that programs on its way cut off. */
const maxAddress = 60_000;

/** inGraphiql returns where GraphiQL shows the operation, with as much of it as an address can hold. What is behind "#"
 * stays in the browser, and as in all that is recorded there is no token in it. */
export function inGraphiql({ document, variables }: Entry, graphiql: string): string {
  const withBoth = new URLSearchParams({ query: document, variables: textOf(variables ?? {}) });
  const alone = new URLSearchParams({ query: document });
  const fits = [withBoth, alone].map((fields) => `${graphiql}#${fields}`).find(({ length }) => length <= maxAddress);
  return fits ?? graphiql;
}

/** The recorder of the page. */
export const recorder = newRecorder();
