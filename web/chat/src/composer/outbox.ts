// Carries what is sent to the server, once: a send is stored here before it goes out, and taken away when the server
// has answered. So it outlives this page, and whichever page comes next sends it again with the same key.
import { isHeld, read, step } from './sends.ts';
import type { Answer, Outgoing, SendEvent } from './sends.ts';

/** The world that an outbox lives in; the tests have one of their own. */
export interface World {
  storage: Pick<Storage, 'getItem' | 'setItem' | 'removeItem' | 'key' | 'length'>;
  /** Sends it, and calls created when a conversation was made for it. Null: nobody is signed in any more. */
  post(entry: Outgoing, created: (conversationId: string) => void): Promise<Answer | null>;
  /** Runs work while no other page of this browser does under this name. */
  lock(name: string, work: () => Promise<void>): Promise<void>;
  /** Resolves after so many milliseconds; where the line is to blame, as soon as it is back. */
  pause(ms: number, forLine: boolean): Promise<void>;
  now(): number;
  random(): number;
}

export interface Stored {
  entry: Outgoing;
  answer: Extract<Answer, { kind: 'sent' }>;
  /** Whether it was left by a page that is gone. */
  recovered: boolean;
}

const prefix = 'parley:out:';

export class Outbox {
  #entries: readonly Outgoing[] = [];
  #carried = new Set<string>();
  /** Those of them that this page has alone; for the others it waits. */
  #holds = new Set<string>();
  #recovered = new Set<string>();
  #wakes = new Map<string, () => void>();
  #listeners = new Set<() => void>();
  #stored = new Set<(stored: Stored) => void>();
  #user: string | null = null;

  constructor(readonly world: World) {}

  /** The sends of this user that are not stored yet, the oldest first. The array changes with its content. */
  get entries(): readonly Outgoing[] {
    return this.#entries;
  }

  /** start begins with what a page before this one left. It may be called again. */
  start(user: string) {
    if (this.#user === user) return;
    this.#user = user;
    this.#set([]);
    const left = this.#keys().map((key) => this.#load(key));
    for (const entry of left.filter((one) => one !== null).sort((a, b) => a.at - b.at)) this.#adopt(entry);
  }

  /** changed is called when another page has changed what is stored under a name. */
  changed(name: string | null) {
    if (!name?.startsWith(prefix)) return;
    const key = name.slice(prefix.length);
    const entry = this.#load(key);
    if (entry && this.#holds.has(key)) return; // What is held here is ahead of it.
    if (entry && !this.#carried.has(key)) this.#adopt(entry);
    else if (entry) this.#put(key, entry.user === this.#user ? entry : null);
    else if (!this.#storageFails()) {
      this.#put(key, null); // Stored by the server, or given back to the user.
      this.#wakes.get(key)?.();
    }
  }

  /** send takes a new send; kept is called once it outlives this page. */
  send(entry: Outgoing, kept: () => void = () => {}) {
    this.#put(entry.key, entry);
    void this.#carry(entry.key, kept);
  }

  /** decide tells what the user wants with a send that waits. */
  decide(key: string, event: Extract<SendEvent, { name: 'again' | 'wait' }>) {
    const entry = this.#find(key);
    if (!entry) return;
    const next = step(entry, event);
    this.#keep(key, next);
    this.#wakes.get(key)?.();
    if (next && !isHeld(next)) void this.#carry(key);
  }

  /** resume tries again what stopped because nobody was signed in. */
  resume() {
    this.#next();
  }

  /** take gives a send back to the user: it is not sent any more. Another page may have it, and be further with it. */
  take(key: string): Outgoing | null {
    if (!this.#reload(key)) return null;
    const entry = this.#find(key) ?? null;
    if (entry?.state.name === 'sending' || entry?.state.name === 'unknown') return null;
    this.#keep(key, null);
    this.#wakes.get(key)?.();
    return entry;
  }

  /** forget throws away what is stored, of whomever it is. */
  forget() {
    for (const key of this.#keys()) this.#attempt((storage) => storage.removeItem(prefix + key));
    this.#user = null;
    this.#set([]);
  }

  subscribe = (listener: () => void) => {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  };

  /** onStored calls listener for each send that the server has stored. */
  onStored(listener: (stored: Stored) => void) {
    this.#stored.add(listener);
    return () => void this.#stored.delete(listener);
  }

  #adopt(entry: Outgoing) {
    if (entry.user !== this.#user) return;
    this.#put(entry.key, entry);
    if (isHeld(entry)) return;
    this.#recovered.add(entry.key);
    void this.#carry(entry.key);
  }

  /** Carries one send until it is stored or the user has to decide. One page does at a time, and the sends of a
   * conversation go one after the other: the second was written for what the first made. */
  async #carry(key: string, kept?: () => void) {
    if (this.#carried.has(key)) return;
    this.#carried.add(key);
    try {
      await this.world.lock(prefix + key, async () => {
        this.#holds.add(key);
        if (kept) {
          this.#keep(key, this.#find(key) ?? null);
          kept();
        } else if (!this.#reload(key)) return;
        while (await this.#once(key));
      });
    } finally {
      this.#carried.delete(key);
      this.#holds.delete(key);
    }
    const entry = this.#find(key);
    if (!entry || isHeld(entry)) this.#next();
  }

  /** Lets go those that waited for another. */
  #next() {
    for (const entry of this.#entries) if (!isHeld(entry) && !this.#isBehind(entry)) void this.#carry(entry.key);
  }

  /** Reads again what may have changed while another page had it; false when that one is done. */
  #reload(key: string): boolean {
    if (this.#storageFails()) return this.#find(key) !== undefined;
    const entry = this.#load(key);
    if (!entry) this.#recovered.delete(key);
    this.#put(key, entry);
    return entry !== null;
  }

  async #once(key: string): Promise<boolean> {
    const entry = this.#find(key);
    if (!entry || isHeld(entry) || this.#isBehind(entry)) return false;
    if (entry.state.name !== 'sending') {
      await this.#pause(entry);
      return true;
    }
    const answer = await this.world.post(entry, (conversationId) =>
      this.#event(key, { name: 'created', conversationId }),
    );
    if (!answer) return false;
    if (answer.kind === 'sent') this.#passOn(entry, answer.headId);
    this.#event(key, { name: 'answered', answer, now: this.world.now(), random: this.world.random() });
    if (answer.kind !== 'sent') return true;
    const recovered = this.#recovered.delete(key);
    for (const listener of [...this.#stored]) listener({ entry, answer, recovered });
    return false;
  }

  /** Waits until it is time to try again, or until the user wants something else. */
  async #pause({ key, state }: Outgoing) {
    const ms = 'retryAt' in state ? state.retryAt - this.world.now() : 0;
    const woken = new Promise<void>((resolve) => this.#wakes.set(key, resolve));
    await Promise.race([this.world.pause(ms, state.name === 'unknown'), woken]);
    this.#wakes.delete(key);
    const now = this.#find(key);
    if (now?.state === state) this.#keep(key, step(now, { name: 'again' }));
  }

  #isBehind(entry: Outgoing): boolean {
    const { conversationId } = entry;
    const first = this.#entries.find((one) => one.conversationId === conversationId && !isHeld(one));
    return conversationId !== null && first !== undefined && first.key !== entry.key;
  }

  #passOn(sent: Outgoing, head: string) {
    for (const { key, conversationId } of this.#entries) {
      if (conversationId !== sent.conversationId || key === sent.key) continue;
      this.#event(key, { name: 'passed', before: sent.head, head });
    }
  }

  #event(key: string, event: SendEvent) {
    const entry = this.#find(key);
    if (entry) this.#keep(key, step(entry, event));
  }

  #find(key: string): Outgoing | undefined {
    return this.#entries.find((entry) => entry.key === key);
  }

  #keep(key: string, entry: Outgoing | null) {
    this.#attempt((storage) =>
      entry ? storage.setItem(prefix + key, JSON.stringify(entry)) : storage.removeItem(prefix + key),
    );
    this.#put(key, entry);
  }

  #put(key: string, entry: Outgoing | null) {
    const place = this.#entries.findIndex((one) => one.key === key);
    if (!entry) this.#set(this.#entries.filter((one) => one.key !== key));
    else if (place < 0) this.#set([...this.#entries, entry]);
    else this.#set(this.#entries.with(place, entry));
  }

  #set(entries: readonly Outgoing[]) {
    this.#entries = entries;
    for (const listener of [...this.#listeners]) listener();
  }

  #load(key: string): Outgoing | null {
    const stored = this.#attempt((storage) => storage.getItem(prefix + key)) ?? null;
    const entry = read(stored, this.world.now());
    if (stored !== null && !entry) this.#attempt((storage) => storage.removeItem(prefix + key));
    return entry;
  }

  #keys(): string[] {
    const keys =
      this.#attempt((storage) => Array.from({ length: storage.length }, (_, i) => storage.key(i) ?? '')) ?? [];
    return keys.filter((key) => key.startsWith(prefix)).map((key) => key.slice(prefix.length));
  }

  /** Storage may be full or forbidden. Then a send lives as long as its page. */
  #attempt<T>(work: (storage: World['storage']) => T): T | undefined {
    try {
      return work(this.world.storage);
    } catch {
      return undefined;
    }
  }

  #storageFails(): boolean {
    return this.#attempt((storage) => [storage.length]) === undefined;
  }
}
