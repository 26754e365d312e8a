// The visible line of a talk as far as it is loaded: pure functions from what is held and what has come to what is held
// then. Indexes count up by one along the line, so that pages and events find their places by them.
import type { TalkHeadFragment, TalkMessageFragment } from '../api/generated/documents.ts';

export type TalkMessage = TalkMessageFragment & {
  /** Of its place in the line, for asking what is before and behind it; null for one that no list has brought yet. */
  cursor: string | null;
};

export interface Line {
  readonly head: TalkHeadFragment;
  /** Without gaps, in their order. */
  readonly messages: readonly TalkMessage[];
  readonly hasOlder: boolean;
  /** True when the end was dropped, because so much older was loaded. */
  readonly hasNewer: boolean;
}

export const pageSize = 50;
/** So many messages are kept; the farther end is dropped, and is loaded again. */
export const kept = 400;

export interface Page {
  readonly messages: readonly TalkMessage[];
  /** Whether there is more on the side that was asked for. */
  readonly hasMore: boolean;
}

interface Edges {
  edges: readonly { cursor: string; node: TalkMessageFragment }[];
}

/** pageOf reads a page of a list. */
export function pageOf({ edges }: Edges, hasMore: boolean): Page {
  return { messages: edges.map(({ cursor, node }) => ({ ...node, cursor })), hasMore };
}

/** isFinal tells whether a message stays as it is. */
export function isFinal({ status }: { status: string }): boolean {
  return status !== 'STREAMING' && status !== 'QUEUED';
}

/** An answer may be older than an event that came while it was under way: what is final stays. */
function newest(held: TalkMessage | undefined, come: TalkMessage): TalkMessage {
  if (!held || held.id !== come.id) return come;
  const cursor = come.cursor ?? held.cursor;
  const isOld = come.attempt < held.attempt || (come.attempt === held.attempt && isFinal(held) && !isFinal(come));
  return isOld ? { ...held, cursor } : { ...come, cursor };
}

function merged(held: readonly TalkMessage[], come: readonly TalkMessage[]): TalkMessage[] {
  const byId = new Map(held.map((message) => [message.id, message]));
  return come.map((message) => newest(byId.get(message.id), message));
}

/**
 * withEnd joins the newest page to what is held above `fromIndex`. Where there is a gap between them only the page is
 * kept; what is before it is loaded again when somebody goes there.
 */
export function withEnd(held: Line | null, head: TalkHeadFragment, page: Page, fromIndex: number | null): Line {
  const first = page.messages[0]?.index ?? 0;
  const messages = merged(held?.messages ?? [], page.messages);
  const above = (held?.messages ?? []).filter(({ index }) => index < first && index < (fromIndex ?? Infinity));
  const isJoined = above.length > 0 && above[above.length - 1]!.index === first - 1;
  const now = settled(head, messages);
  if (!held || !isJoined) return { head: now, messages, hasOlder: page.hasMore, hasNewer: false };
  return { head: now, messages: [...above, ...messages], hasOlder: held.hasOlder, hasNewer: false };
}

/** settled leaves out of what runs and waits what is known to do so no more: the head of an answer may be old, too. */
function settled(head: TalkHeadFragment, messages: readonly TalkMessage[]): TalkHeadFragment {
  const isStill = ({ id }: { id: string }, status: string) =>
    (messages.find((message) => message.id === id)?.status ?? status) === status;
  const { runningReply, queuedReplies } = head;
  return {
    ...head,
    runningReply: runningReply && isStill(runningReply, runningReply.status) ? runningReply : null,
    queuedReplies: queuedReplies.filter((reply) => isStill(reply, 'QUEUED')),
  };
}

/** withOlder puts a page in front. */
export function withOlder(held: Line, page: Page): Line {
  const first = held.messages[0]?.index ?? Infinity;
  const older = page.messages.filter(({ index }) => index < first);
  return { ...held, messages: [...older, ...held.messages], hasOlder: page.hasMore };
}

/** withNewer puts a page behind. */
export function withNewer(held: Line, page: Page): Line {
  const last = held.messages[held.messages.length - 1]?.index ?? -1;
  const newer = page.messages.filter(({ index }) => index > last);
  return { ...held, messages: [...held.messages, ...newer], hasNewer: page.hasMore };
}

/** capped drops an end of what is too much. It is a step of its own: a list on the screen keeps its place only when it
 * changes at one end at a time. */
export function capped(line: Line, drop: 'first' | 'last'): Line {
  const over = line.messages.length - kept;
  if (over <= 0) return line;
  return drop === 'first'
    ? { ...line, messages: line.messages.slice(over), hasOlder: true }
    : { ...line, messages: line.messages.slice(0, kept), hasNewer: true };
}

/** cutFrom leaves away what may be out of date below an index. */
export function cutFrom(held: Line, fromIndex: number): Line {
  const messages = held.messages.filter(({ index }) => index < fromIndex);
  return messages.length === held.messages.length ? held : { ...held, messages, hasNewer: true };
}

/** withAdded puts a message at its place; null when there is a gap before it, so that the end has to be fetched. */
export function withAdded(held: Line, message: TalkMessage): Line | null {
  if (held.hasNewer) return { ...held, head: { ...held.head, headId: message.id } };
  const at = held.messages.findIndex(({ index }) => index === message.index);
  const last = held.messages[held.messages.length - 1];
  if (at < 0 && last && message.index !== last.index + 1) return null;
  const before = at < 0 ? held.messages : held.messages.slice(0, at);
  const same = at < 0 ? undefined : held.messages[at];
  // It may be here already, from an answer that was faster.
  const rest = same?.id === message.id ? held.messages.slice(at + 1) : [];
  const headId = rest.length > 0 ? held.head.headId : message.id;
  return { ...held, head: { ...held.head, headId }, messages: [...before, newest(same, message), ...rest] };
}

/** withChanged replaces a message where it stands. */
export function withChanged(held: Line, message: TalkMessageFragment): Line {
  const at = held.messages.findIndex(({ id }) => id === message.id);
  if (at < 0) return held;
  const old = held.messages[at]!;
  const messages = held.messages.slice();
  messages[at] = newest(old, { ...message, cursor: old.cursor });
  return { ...held, messages };
}

/** withPatch changes some of a message where it stands. */
export function withPatch(held: Line, id: string, patch: Partial<TalkMessage>): Line {
  return {
    ...held,
    messages: held.messages.map((message) => (message.id === id ? { ...message, ...patch } : message)),
  };
}
