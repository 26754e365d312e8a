// What is shown of a talk that its first message has just made, until the server's own word of it is here.
import type { TalkHeadFragment } from '../api/generated/documents.ts';
import type { TalkMessage } from './list.ts';

interface Stored {
  clientKey: string;
  conversationId: string;
  userMessageId: string;
  replyId: string;
}

export function begunWith(
  { clientKey, conversationId, userMessageId, replyId }: Stored,
  content: string,
): [TalkHeadFragment, TalkMessage[]] {
  const head: TalkHeadFragment = {
    __typename: 'Conversation',
    id: conversationId,
    name: content.split('\n', 1)[0]!.slice(0, 60),
    model: null,
    headId: replyId,
    pinned: false,
    archivedAt: null,
    queuedReplies: [],
    runningReply: { __typename: 'Message', id: replyId, status: 'STREAMING' },
  };
  const question = messageOf(userMessageId, 1, {
    role: 'USER',
    clientKey,
    content,
    status: 'COMPLETED',
    finishedAt: now(),
  });
  return [head, [question, messageOf(replyId, 2, { role: 'ASSISTANT', status: 'STREAMING', attempt: 0 })]];
}

const now = () => new Date().toISOString();

function messageOf(id: string, index: number, more: Partial<TalkMessage>): TalkMessage {
  return {
    __typename: 'Message',
    id,
    index,
    role: 'USER',
    clientKey: null,
    content: '',
    reasoning: '',
    status: 'COMPLETED',
    finishReason: null,
    error: null,
    model: null,
    usage: null,
    context: null,
    sentToModel: true,
    droppedParameters: [],
    citations: [],
    omittedOutput: [],
    reasoningMs: null,
    firstTokenMs: null,
    attempt: 0,
    editedAt: null,
    siblingCount: 1,
    siblingPosition: 1,
    continues: null,
    createdAt: now(),
    finishedAt: null,
    cursor: null,
    ...more,
  };
}
