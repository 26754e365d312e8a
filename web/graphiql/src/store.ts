/** What GraphiQL stores begins with this, and "Clear storage" in its settings removes all that does. */
const namespace = 'graphiql:';

/**
 * Store keeps texts for all tabs of the browser. They stay in this page alone when the settings of GraphiQL say that
 * headers are not to be persisted, or when the browser stores nothing.
 */
export class Store {
  readonly #memory = new Map<string, string>();
  readonly #prefix: string;

  constructor(prefix: string) {
    this.#prefix = namespace + prefix;
  }

  /** name is what a text is called everywhere in the browser. */
  name(key: string): string {
    return this.#prefix + key;
  }

  get(key: string): string | null {
    const name = this.name(key);
    const stored = read((storage) => storage.getItem(name));
    if (stored !== null && !isPersistent()) {
      this.#memory.set(name, stored);
      read((storage) => storage.removeItem(name));
    }
    return this.#memory.get(name) ?? stored;
  }

  set(key: string, text: string): void {
    const name = this.name(key);
    const isStored = isPersistent() && read((storage) => (storage.setItem(name, text), true));
    if (isStored) this.#memory.delete(name);
    else this.#memory.set(name, text);
  }

  remove(key: string): void {
    this.#memory.delete(this.name(key));
    read((storage) => storage.removeItem(this.name(key)));
  }

  keys(): string[] {
    const names = [...this.#memory.keys(), ...(read((storage) => Object.keys(storage)) ?? [])];
    return names.filter((name) => name.startsWith(this.#prefix)).map((name) => name.slice(this.#prefix.length));
  }

  /** onChange calls listener when another tab of the browser has changed a text. */
  onChange(listener: (key: string, text: string | null) => void): void {
    window.addEventListener('storage', ({ key, newValue }) => {
      if (key?.startsWith(this.#prefix)) listener(key.slice(this.#prefix.length), newValue);
    });
  }
}

function isPersistent(): boolean {
  return read((storage) => storage.getItem(`${namespace}shouldPersistHeaders`)) !== 'false';
}

/** read gives what use returns, or null when the browser has no storage, or no room in it. */
function read<T>(use: (storage: Storage) => T): T | null {
  try {
    return use(window.localStorage);
  } catch {
    return null;
  }
}
