// What an event of the open talk makes of what is held: pure, so that any order of events can be tried.
import type { TalkHeadFragment, TalkMessageFragment } from '../api/generated/documents.ts';
import type { TalkEvent } from '../live/follow.ts';
import type { Piece } from '../live/text.ts';
import { cutFrom, withAdded, withChanged, withPatch } from './list.ts';
import type { Line } from './list.ts';

/** What has to be done beside holding another line. */
export type Task =
  | { do: 'fetch'; fromIndex: number | null }
  | { do: 'snapshot'; message: TalkMessageFragment }
  | { do: 'piece'; messageId: string; piece: Piece }
  | { do: 'drop'; messageId: string }
  | { do: 'gone' };

export interface Step {
  line: Line | null;
  tasks: Task[];
}

/** step takes one event. A type that it does not know changes nothing. */
export function step(line: Line | null, event: TalkEvent): Step {
  switch (event.__typename) {
    case 'ConversationSnapshot':
      return snapshot(line, event.conversation, event.fromIndex);
    case 'ConversationUpdated':
      return { line: line && withHead(line, event.conversation), tasks: [] };
    case 'ConversationDeleted':
      return { line, tasks: [{ do: 'gone' }] };
    case 'MessageAdded':
      return added(line, { ...event.edge.node, cursor: event.edge.cursor });
    case 'MessageSnapshot':
      return changed(line, event.message);
    case 'MessageFinished':
      return finished(line, event.message);
    case 'MessageDelta':
    case 'MessageReasoningDelta': {
      const of = event.__typename === 'MessageDelta' ? 'content' : 'reasoning';
      const { offset, text, message } = event;
      return {
        line,
        tasks: [{ do: 'piece', messageId: message.id, piece: { attempt: message.attempt, of, offset, text } }],
      };
    }
    default:
      return { line, tasks: [] };
  }
}

function snapshot(line: Line | null, head: TalkHeadFragment, fromIndex: number | null): Step {
  const isAbove = line !== null && fromIndex !== null && line.messages.length > 0;
  return { line: isAbove ? { ...cutFrom(line, fromIndex), head } : line, tasks: [{ do: 'fetch', fromIndex }] };
}

/** A conversation that was read before its newest message says less than what is shown. */
function withHead(line: Line, head: TalkHeadFragment): Line {
  return { ...line, head };
}

function added(line: Line | null, message: TalkMessageFragment & { cursor: string }): Step {
  const snapshots: Task[] = message.status === 'STREAMING' ? [{ do: 'snapshot', message }] : [];
  const next = line && withAdded(line, message);
  if (next === null) return { line, tasks: [...snapshots, { do: 'fetch', fromIndex: null }] };
  return { line: inTurn(next, message), tasks: snapshots };
}

/** What runs and what waits, as the state of a message says. */
function inTurn(line: Line, { id, status }: TalkMessageFragment): Line {
  const { runningReply, queuedReplies } = line.head;
  const waits = queuedReplies.some((reply) => reply.id === id);
  if (status === 'QUEUED') {
    if (waits) return line;
    return { ...line, head: { ...line.head, queuedReplies: [...queuedReplies, { __typename: 'Message', id }] } };
  }
  const queue = waits ? queuedReplies.filter((reply) => reply.id !== id) : queuedReplies;
  if (status === 'STREAMING') {
    return {
      ...line,
      head: { ...line.head, runningReply: { __typename: 'Message', id, status }, queuedReplies: queue },
    };
  }
  const running = runningReply?.id === id ? null : runningReply;
  return { ...line, head: { ...line.head, runningReply: running, queuedReplies: queue } };
}

function changed(line: Line | null, message: TalkMessageFragment): Step {
  const next = line && inTurn(withChanged(line, message), message);
  if (message.status === 'STREAMING') return { line: next, tasks: [{ do: 'snapshot', message }] };
  return { line: next, tasks: [] };
}

type FinishedMessage = TalkMessageFragment & { parent: { id: string; sentToModel: boolean } | null };

function finished(line: Line | null, { parent, ...message }: FinishedMessage): Step {
  const tasks: Task[] = [{ do: 'drop', messageId: message.id }];
  if (line === null) return { line, tasks };
  // Of a reply that was deleted nobody asks for more: the snapshot of its line comes behind this.
  if (message.error?.code === 'DELETED') return { line: inTurn(line, message), tasks };
  const isHere = line.messages.some(({ id }) => id === message.id);
  if (!isHere && !line.hasNewer && message.index > (line.messages[0]?.index ?? 0)) {
    tasks.push({ do: 'fetch', fromIndex: message.index });
  }
  let next = inTurn(withChanged(line, message), message);
  if (parent) next = withPatch(next, parent.id, { sentToModel: parent.sentToModel });
  return { line: next, tasks };
}
