// The list of conversations: pages of the server and what happens meanwhile, as one list without doubles. It is kept
// here and not in the cache, since its order changes with each message, anywhere.
import type { ConversationRowFragment } from '../api/generated/documents.ts';

export type Row = ConversationRowFragment;

export interface Page {
  rows: Row[];
  endCursor: string | null;
  hasMore: boolean;
}

export interface Source {
  page(options: { first: number; after: string | null; archived: boolean; pinned?: boolean }): Promise<Page>;
}

export interface View {
  /** Newest first; those that are pinned are among them once they are known. */
  rows: readonly Row[];
  state: 'loading' | 'ready' | 'failed';
  hasMore: boolean;
  isLoadingMore: boolean;
}

const pageSize = 50;
const mostAtOnce = 100;

export class Talks {
  view: View = { rows: [], state: 'loading', hasMore: false, isLoadingMore: false };
  #rows = new Map<string, Row>();
  /** When each row was last told of, by a count of events: a page that was asked for before is older. */
  #touched = new Map<string, number>();
  #count = 0;
  #cursor: string | null = null;
  /** Rows from before this time are not known without a gap yet. */
  #since: string | null = null;
  #hasMore = false;
  #loading: Promise<void> | null = null;
  #listeners = new Set<() => void>();

  constructor(
    readonly source: Source,
    readonly archived: boolean,
  ) {}

  subscribe = (listener: () => void) => {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  };

  /** refresh loads anew what is shown. */
  async refresh() {
    const start = this.#count;
    const wanted = Math.max(pageSize, this.view.rows.length);
    try {
      const pinned = this.archived ? [] : (await this.#ask(mostAtOnce, null, true)).rows;
      const fresh: Row[] = [];
      let page: Page;
      let after: string | null = null;
      do {
        page = await this.#ask(Math.min(mostAtOnce, wanted - fresh.length), after);
        fresh.push(...page.rows);
        after = page.endCursor;
      } while (page.hasMore && fresh.length < wanted);
      for (const id of [...this.#rows.keys()]) if (!this.#isNewer(id, start)) this.#rows.delete(id);
      this.#take([...pinned, ...fresh], start);
      this.#reach(page, fresh);
      this.#show('ready');
    } catch {
      this.#show(this.view.state === 'ready' ? 'ready' : 'failed');
    }
  }

  /** more loads the next page; one at a time. */
  more(): Promise<void> {
    if (!this.#hasMore) return Promise.resolve();
    this.#loading ??= this.#more().finally(() => {
      this.#loading = null;
      this.#show(this.view.state);
    });
    this.#show(this.view.state);
    return this.#loading;
  }

  async #more() {
    const start = this.#count;
    const cursor = this.#cursor;
    const page = await this.#ask(pageSize, cursor).catch(() => null);
    // Refreshed meanwhile: the page may not follow on what is shown now.
    if (!page || cursor !== this.#cursor) return;
    this.#take(page.rows, start);
    this.#reach(page, page.rows);
  }

  /** put takes a row as it is now. */
  put(row: Row) {
    this.#touched.set(row.id, ++this.#count);
    if ((row.archivedAt !== null) === this.archived) this.#rows.set(row.id, row);
    else this.#rows.delete(row.id);
    this.#show(this.view.state);
  }

  remove(id: string) {
    this.#touched.set(id, ++this.#count);
    this.#rows.delete(id);
    this.#show(this.view.state);
  }

  get(id: string): Row | null {
    return this.#rows.get(id) ?? null;
  }

  #ask(first: number, after: string | null, pinned?: boolean): Promise<Page> {
    return this.source.page({ first, after, archived: this.archived, pinned });
  }

  #isNewer(id: string, start: number): boolean {
    return (this.#touched.get(id) ?? 0) > start;
  }

  #take(rows: Row[], start: number) {
    for (const row of rows) if (!this.#isNewer(row.id, start)) this.#rows.set(row.id, row);
  }

  #reach(page: Page, rows: Row[]) {
    this.#hasMore = page.hasMore;
    this.#cursor = page.endCursor;
    this.#since = page.hasMore ? (rows.at(-1)?.lastMessageAt ?? this.#since) : null;
  }

  #show(state: View['state']) {
    const since = this.#since;
    const rows = [...this.#rows.values()]
      .filter((row) => row.pinned || since === null || row.lastMessageAt >= since)
      .sort((a, b) => compare(b.lastMessageAt, a.lastMessageAt) || compare(b.id, a.id));
    this.view = { rows, state, hasMore: this.#hasMore, isLoadingMore: this.#loading !== null };
    this.#listeners.forEach((listener) => listener());
  }
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
