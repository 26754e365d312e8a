// One open talk: what is loaded of it, kept in step by one subscription. It lives outside of React, so that coming back
// to a talk shows it at once.
import type { Session } from '@parley/client';
import { TalkDocument, TalkNewerDocument, TalkOlderDocument } from '../api/generated/documents.ts';
import type {
  TalkHeadFragment,
  TalkMessageFragment,
  TalkNewerQuery,
  TalkOlderQuery,
  TalkQuery,
} from '../api/generated/documents.ts';
import { follow } from '../live/follow.ts';
import type { TalkEvent, Verdict } from '../live/follow.ts';
import type { LiveTexts } from '../live/store.ts';
import { step } from './events.ts';
import type { Task } from './events.ts';
import { capped, isFinal, kept, pageOf, pageSize, withEnd, withNewer, withOlder, withPatch } from './list.ts';
import type { Line, Page, TalkMessage } from './list.ts';

export type Gone = 'deleted' | 'notFound';

export interface TalkState {
  readonly line: Line | null;
  readonly gone: Gone | null;
  /** True while a page is under way. */
  readonly isLoadingOlder: boolean;
  readonly isLoadingNewer: boolean;
  /** The last try to load has failed. */
  readonly hasFailed: boolean;
}

export interface World {
  session: Pick<Session, 'run' | 'subscribe'>;
  live: LiveTexts;
  /** Comes when it is worth to try again. */
  retry(tries: number): Promise<void>;
}

/** After this what came is on the screen, and something else may go. */
const trimMs = 100;

export class OpenTalk {
  private state: TalkState = { line: null, gone: null, isLoadingOlder: false, isLoadingNewer: false, hasFailed: false };
  private readonly listeners = new Set<() => void>();
  private abort: AbortController | null = null;
  private viewers = 0;
  /** What is to be fetched next: from which index on; undefined when nothing is. */
  private wanted: number | null | undefined;
  private isFetching = false;
  /** The messages that events have added while a request was under way. */
  private readonly addedMeanwhile = new Set<string>();
  /** The reply whose pieces may still come, though an answer has it whole already. */
  private watched: string | null = null;
  /** Which end is far from the reader. */
  private farEnd: 'first' | 'last' = 'first';
  private trimming: ReturnType<typeof setTimeout> | null = null;

  constructor(
    private readonly world: World,
    readonly id: string,
  ) {}

  readonly get = (): TalkState => this.state;

  readonly subscribe = (listener: () => void): (() => void) => {
    this.listeners.add(listener);
    return () => void this.listeners.delete(listener);
  };

  /** Keeps in step until the function that it returns is called. */
  readonly open = (): (() => void) => {
    if (this.viewers++ === 0) this.begin();
    let isOpen = true;
    return () => {
      if (!isOpen) return;
      isOpen = false;
      if (--this.viewers === 0) this.abort?.abort();
    };
  };

  private begin() {
    const abort = (this.abort = new AbortController());
    if (this.state.gone === 'notFound') this.set({ gone: null });
    // The list does not wait for the subscription: one way instead of two.
    this.fetch(null);
    const listener = {
      event: (event: TalkEvent) => this.take(event),
      refused: (code: string) => {
        if (code === 'NOT_FOUND') this.set({ gone: this.state.line ? 'deleted' : 'notFound' });
      },
    };
    void follow(this.world.session, this.id, listener, abort.signal);
  }

  private take(event: TalkEvent): Verdict {
    if (event.__typename === 'MessageAdded' && this.isFetching) this.addedMeanwhile.add(event.edge.node.id);
    if (event.__typename === 'ConversationSnapshot') this.watched = null;
    const { line, tasks } = step(this.state.line, event);
    let verdict: Verdict = 'on';
    for (const task of tasks) {
      if (!this.perform(task)) verdict = task.do === 'gone' ? 'end' : 'again';
    }
    if (line !== this.state.line) this.set({ line });
    return verdict;
  }

  private perform(task: Task): boolean {
    const { live } = this.world;
    switch (task.do) {
      case 'fetch':
        this.fetch(task.fromIndex);
        return true;
      case 'snapshot':
        this.watched = task.message.id;
        live.of(task.message.id).snapshot(task.message);
        return true;
      case 'piece':
        return live.of(task.messageId).piece(task.piece);
      case 'drop':
        live.drop(task.messageId);
        return true;
      case 'gone':
        this.set({ gone: 'deleted' });
        return false;
    }
  }

  /** Fetches the end, one request at a time; what is asked meanwhile is fetched once more behind it. */
  readonly fetch = (fromIndex: number | null) => {
    const least =
      this.wanted === undefined
        ? fromIndex
        : this.wanted === null || fromIndex === null
          ? null
          : Math.min(this.wanted, fromIndex);
    this.wanted = least;
    if (!this.isFetching) void this.fetchWanted();
  };

  private async fetchWanted() {
    const signal = this.abort?.signal;
    this.isFetching = true;
    for (let tries = 0; this.wanted !== undefined && !signal?.aborted;) {
      const fromIndex = this.wanted;
      this.wanted = undefined;
      try {
        await (this.state.line?.hasNewer ? this.fetchWindow(fromIndex) : this.fetchEnd(fromIndex));
        tries = 0;
      } catch {
        if (signal?.aborted) break;
        this.set({ hasFailed: true });
        this.wanted = this.wanted === undefined ? fromIndex : null;
        await this.world.retry(tries++);
      }
    }
    this.isFetching = false;
    // Opened again while the last request of the time before was under way.
    if (this.wanted !== undefined && this.abort && !this.abort.signal.aborted) void this.fetchWanted();
  }

  private async fetchEnd(fromIndex: number | null) {
    this.addedMeanwhile.clear();
    const { conversation } = await this.run<TalkQuery>(TalkDocument, { last: pageSize });
    if (!conversation) return this.set({ gone: this.state.line ? 'deleted' : 'notFound', hasFailed: false });
    if (this.state.gone) return; // The answer is from before.
    const page = pageOf(conversation.messages, conversation.messages.pageInfo.hasPreviousPage);
    // An answer from before a message that has come since would take it away again: the next one has it.
    if (this.isBehind(page)) return this.fetch(fromIndex);
    const { messages: _, ...head } = conversation;
    this.set({ line: withEnd(this.state.line, head, page, fromIndex), gone: null, hasFailed: false });
    this.letGo(page);
  }

  /** A reply that ended while the line was cut has its text in the answer: no event says so. */
  private letGo({ messages }: Page) {
    for (const message of messages) {
      if (message.id !== this.watched && isFinal(message)) this.world.live.drop(message.id);
    }
  }

  private isBehind({ messages }: Page): boolean {
    const held = this.state.line?.messages ?? [];
    return held.some(({ id }) => this.addedMeanwhile.has(id) && !messages.some((message) => message.id === id));
  }

  /** Fetches again what is shown of the middle of a long talk, so that the place of the reader is kept. */
  private async fetchWindow(fromIndex: number | null) {
    const line = this.state.line!;
    const keep = line.messages.filter(({ index }) => fromIndex !== null && index < fromIndex);
    const last = keep[keep.length - 1] ?? line.messages[0];
    if (!last?.cursor) return this.showEndOf(fromIndex);
    let next: Line = { ...line, messages: keep.length > 0 ? keep : [last], hasNewer: true };
    const until = line.messages[line.messages.length - 1]!.index;
    while (next.hasNewer && next.messages[next.messages.length - 1]!.index < until) {
      const page = await this.newerThan(next);
      if (page === null) break;
      next = withNewer(next, page);
    }
    this.set({ line: next, hasFailed: false });
  }

  private showEndOf(fromIndex: number | null) {
    const { line } = this.state;
    if (line) this.set({ line: { ...line, hasNewer: false } });
    return this.fetchEnd(fromIndex);
  }

  private async newerThan(line: Line) {
    const after = line.messages[line.messages.length - 1]?.cursor;
    if (!after) return null;
    const { conversation } = await this.run<TalkNewerQuery>(TalkNewerDocument, { first: pageSize, after });
    return conversation && pageOf(conversation.messages, conversation.messages.pageInfo.hasNextPage);
  }

  readonly loadOlder = async () => {
    const { line, isLoadingOlder } = this.state;
    const first = line?.messages.find(({ cursor }) => cursor !== null);
    if (!line?.hasOlder || isLoadingOlder || !first) return;
    this.farEnd = 'last';
    this.set({ isLoadingOlder: true });
    try {
      const { conversation } = await this.run<TalkOlderQuery>(TalkOlderDocument, {
        last: pageSize,
        before: first.cursor,
      });
      const now = this.state.line;
      // What is in front may be another line by now.
      if (conversation && now?.messages[0]?.id === line.messages[0]?.id) {
        this.set({
          line: withOlder(now!, pageOf(conversation.messages, conversation.messages.pageInfo.hasPreviousPage)),
        });
      }
    } catch {
      await this.world.retry(1);
    } finally {
      this.set({ isLoadingOlder: false });
    }
  };

  readonly loadNewer = async () => {
    const { line, isLoadingNewer } = this.state;
    if (!line?.hasNewer || isLoadingNewer) return;
    this.farEnd = 'first';
    this.set({ isLoadingNewer: true });
    try {
      const page = await this.newerThan(line);
      const now = this.state.line;
      if (page && now && now.messages[now.messages.length - 1]?.id === line.messages[line.messages.length - 1]?.id) {
        this.set({ line: withNewer(now, page) });
      }
    } catch {
      await this.world.retry(1);
    } finally {
      this.set({ isLoadingNewer: false });
    }
  };

  /** Shows the end, also where it had been dropped. */
  readonly loadEnd = async () => {
    this.farEnd = 'first';
    if (this.state.line?.hasNewer) await this.showEndOf(null).catch(() => this.fetch(null));
  };

  /** Shows what was just sent before anything has answered: for a talk that its first message makes. */
  begun(head: TalkHeadFragment, messages: readonly TalkMessage[]) {
    if (this.state.line === null) this.set({ line: { head, messages, hasOlder: false, hasNewer: false } });
  }

  /** Changes what is shown of a message until an event says how it is; returns how to take it back. */
  patch(id: string, patch: Partial<TalkMessage>): () => void {
    const old = this.state.line?.messages.find((message) => message.id === id);
    if (!old || !this.state.line) return () => {};
    this.set({ line: withPatch(this.state.line, id, patch) });
    return () => {
      const { line } = this.state;
      if (line)
        this.set({
          line: withPatch(
            line,
            id,
            Object.fromEntries(Object.keys(patch).map((key) => [key, old[key as keyof TalkMessage]])),
          ),
        });
    };
  }

  /** Takes what a mutation has answered; the same comes as an event. */
  changed(message: TalkMessageFragment) {
    this.take({ __typename: 'MessageSnapshot', message });
  }

  private run<T>(document: unknown, variables: Record<string, unknown>): Promise<T> {
    return this.world.session.run<T>(String(document), { id: this.id, ...variables }, { signal: this.abort?.signal });
  }

  private set(change: Partial<TalkState>) {
    this.state = { ...this.state, ...change };
    for (const listener of this.listeners) listener();
    const count = this.state.line?.messages.length ?? 0;
    if (count > kept) this.trimming ??= setTimeout(this.trim, trimMs);
  }

  private readonly trim = () => {
    this.trimming = null;
    if (this.state.line) this.set({ line: capped(this.state.line, this.farEnd) });
  };
}
