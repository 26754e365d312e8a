// What is typed and not sent, one text a conversation, for seven days on this device. A message that is edited is never
// kept here: what is stored is only what exists nowhere else.
import { keptMs } from './sends.ts';

type Shelf = Pick<Storage, 'getItem' | 'setItem' | 'removeItem' | 'key' | 'length'>;

const prefix = 'parley:draft:';

export class Drafts {
  #isForgotten = false;

  constructor(
    readonly storage: () => Shelf,
    readonly now: () => number = Date.now,
  ) {}

  load(user: string, conversationId: string | null): string {
    return attempt(() => this.#read(nameOf(user, conversationId))) ?? '';
  }

  save(user: string, conversationId: string | null, text: string) {
    const name = nameOf(user, conversationId);
    if (this.#isForgotten) return;
    attempt(() => {
      if (text.trim()) this.storage().setItem(name, JSON.stringify({ text, at: this.now() }));
      else this.storage().removeItem(name);
    });
  }

  /** sweep throws away what is too old. */
  sweep() {
    attempt(() => this.#names().forEach((name) => this.#read(name)));
  }

  /** forget throws everything away, of whomever it is. What a page still holds as it ends is not kept after it. */
  forget() {
    this.#isForgotten = true;
    attempt(() => this.#names().forEach((name) => this.storage().removeItem(name)));
  }

  #read(name: string): string {
    const stored = this.storage().getItem(name);
    if (stored === null) return '';
    const { text, at } = attempt(() => JSON.parse(stored) as { text?: unknown; at?: unknown }) ?? {};
    if (typeof text === 'string' && typeof at === 'number' && this.now() - at <= keptMs) return text;
    this.storage().removeItem(name);
    return '';
  }

  #names(): string[] {
    const storage = this.storage();
    return Array.from({ length: storage.length }, (_, i) => storage.key(i) ?? '').filter((name) =>
      name.startsWith(prefix),
    );
  }
}

function nameOf(user: string, conversationId: string | null): string {
  return `${prefix}${user}:${conversationId ?? 'new'}`;
}

/** Storage may be full or forbidden, and then a draft lives as long as its page. */
function attempt<T>(work: () => T): T | undefined {
  try {
    return work();
  } catch {
    return undefined;
  }
}
