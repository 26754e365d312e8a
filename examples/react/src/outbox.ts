// Messages that are on their way: shown at once, and kept until the feed shows what the server has stored.
import { makeVar } from '@apollo/client'
import { client, socket } from './client'
import { sendDocument, stopDocument } from './operations'
import { delayOf, isPassing, problemOf } from './problem'
import type { Problem } from './problem'
import { goTo, getRoute } from './route'
import { getSession, onSession } from './session'

export interface Pending {
  /** However often a message arrives with the same key, it is stored once. */
  clientKey: string
  content: string
  /** Null: the message begins a conversation. */
  conversationId: string | null
  /** Why it was not sent; null while it is on its way. */
  problem: Problem | null
}

export const outbox = makeVar<Pending[]>([])

const set = (key: string, change: Partial<Pending>) =>
  outbox(outbox().map((pending) => (pending.clientKey === key ? { ...pending, ...change } : pending)))

export const discard = (key: string) => outbox(outbox().filter(({ clientKey }) => clientKey !== key))

export function send(content: string, conversationId: string | null) {
  // Not randomUUID, which pages without https do not have.
  const clientKey = crypto.getRandomValues(new Uint32Array(4)).join('-')
  outbox([...outbox(), { clientKey, content, conversationId, problem: null }])
  void retry(clientKey)
}

/** Sends a message, for the first time or once more. */
export async function retry(clientKey: string) {
  const pending = outbox().find((pending) => pending.clientKey === clientKey)
  if (!pending) return
  set(clientKey, { problem: null })
  const { content, conversationId } = pending
  try {
    const input = { clientKey, content, conversationId, onBusy: 'QUEUE' } as const
    // Only the feed writes messages into the cache: an answer may be older than what it has told already.
    const { data } = await client.mutate({ mutation: sendDocument, variables: { input }, fetchPolicy: 'no-cache' })
    const { id } = data!.sendMessage.conversation
    set(clientKey, { conversationId: id })
    if (!conversationId && !getRoute()) goTo(id)
  } catch (error) {
    const problem = problemOf(error)
    set(clientKey, { problem })
    const delay = delayOf(problem)
    if (delay) setTimeout(retry, delay * 1000, clientKey)
  }
}

// When the server is back, so are the messages that it did not take.
socket.on('connected', () => {
  for (const { clientKey, problem } of outbox())
    if (problem && isPassing(problem) && !delayOf(problem)) void retry(clientKey)
})

onSession(() => getSession() || outbox([]))

/** Stops a reply. How it ended comes through the feed. */
export const stop = (messageId: string) =>
  client.mutate({ mutation: stopDocument, variables: { input: { messageId } }, fetchPolicy: 'no-cache' })
