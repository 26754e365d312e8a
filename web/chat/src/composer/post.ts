// One try to send: asks the server, and says what it answered.
import { Refused, send } from '@parley/client';
import type { Session } from '@parley/client';
import type { TypedDocumentNode } from 'urql';
import { CreateTalkDocument, EditQuestionDocument, EmptyTalksDocument } from '../api/generated/documents.ts';
import { needsConversation } from '../settings/choices.ts';
import type { Choices } from '../settings/choices.ts';
import type { Answer, Outgoing } from './sends.ts';

/** post sends an entry once. It is null when its user is not signed in: then nothing can be said of it. */
export async function post(session: Session, entry: Outgoing, created: (id: string) => void): Promise<Answer | null> {
  try {
    if (isOfAnother(await session.token(), entry.user)) return null;
    if (entry.kind === 'edit') return await edit(session, entry);
    return await sendNew(session, entry, created);
  } catch (error) {
    if (!(error instanceof Refused)) return { kind: 'lost' };
    const { code, message, extensions } = error;
    return code === 'UNAUTHENTICATED' ? null : { kind: 'refused', code, message, extensions };
  }
}

/** Somebody else may have signed in in another tab, and this page not have gone yet. */
function isOfAnother(token: string | null, user: string): boolean {
  try {
    const [, claims = ''] = (token ?? '').split('.');
    const { sub } = JSON.parse(atob(claims.replaceAll('-', '+').replaceAll('_', '/'))) as { sub?: unknown };
    // The tokens of another issuer name their users otherwise.
    return typeof sub === 'string' && sub.startsWith('usr_') && sub !== user;
  } catch {
    return false;
  }
}

async function sendNew(session: Session, entry: Outgoing, created: (id: string) => void): Promise<Answer> {
  let { conversationId } = entry;
  if (!conversationId && entry.choices && needsConversation(entry.choices)) {
    conversationId = await conversationFor(session, entry.choices);
    created(conversationId);
  }
  const sent = await send(
    session,
    {
      content: entry.content,
      conversationId,
      clientKey: entry.key,
      expectedHeadId: conversationId === entry.conversationId ? entry.head : null,
      onBusy: entry.onBusy,
      model: entry.choices?.model ?? null,
    },
    { patience: 0 },
  );
  switch (sent.kind) {
    case 'sent':
      return {
        kind: 'sent',
        conversationId: sent.conversationId,
        headId: sent.reply.id,
        messageId: sent.userMessageId,
      };
    case 'busy':
      return refusal('CONVERSATION_BUSY', { messageId: sent.runningReplyId });
    case 'stale':
      return refusal('STALE_HEAD', { headId: sent.headId });
    case 'overloaded':
      return refusal(sent.code, sent.extensions);
  }
}

/** conversationFor makes a conversation with what was chosen. It takes an empty one that is like it, which a page may
 * have made that died before it knew. */
async function conversationFor(session: Session, choices: Choices): Promise<string> {
  const { conversations } = await run(session, EmptyTalksDocument, {});
  const input = { ...choices, name: choices.name || null };
  const wanted = signature({ ...input, contextSettings: choices.context });
  const found = conversations.nodes.find((one) => one.lastMessageAt === one.createdAt && signature(one) === wanted);
  if (found && found.messages.nodes.length < 2) return found.id;
  const { createConversation } = await run(session, CreateTalkDocument, { input });
  return createConversation.conversation.id;
}

/** What two conversations without messages are told apart by. */
function signature(one: object): string {
  const { model, systemPrompt, parameters, contextSettings } = one as Record<string, unknown>;
  return JSON.stringify([model, systemPrompt, parameters, contextSettings].map(plain));
}

function plain(value: unknown): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value || null;
  const set = Object.entries(value).filter(([name, one]) => one !== null && one !== undefined && name !== '__typename');
  return set.length > 0 ? set.sort(([a], [b]) => (a < b ? -1 : 1)).map(([name, one]) => [name, plain(one)]) : null;
}

async function edit(session: Session, entry: Outgoing): Promise<Answer> {
  const input = {
    messageId: entry.messageId ?? '',
    content: entry.content,
    clientKey: entry.key,
    expectedHeadId: entry.head,
    // A version cannot wait for what it replaces.
    onBusy: entry.onBusy === 'QUEUE' ? ('REJECT' as const) : entry.onBusy,
    model: entry.choices?.model ?? null,
  };
  const { editMessage } = await run(session, EditQuestionDocument, { input });
  const { conversation, userMessage, reply } = editMessage;
  return { kind: 'sent', conversationId: conversation.id, headId: reply.id, messageId: userMessage.id };
}

/** The documents are strings with types. Whoever carries a send tries again, and says so; nobody does it unseen. */
function run<D, V extends object>(session: Session, document: TypedDocumentNode<D, V>, variables: V): Promise<D> {
  return session.run<D, V>(document as unknown as string, variables, { patience: 0 });
}

function refusal(code: string, extensions: Record<string, unknown>): Answer {
  return { kind: 'refused', code, message: code, extensions };
}
