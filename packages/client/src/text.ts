import type { Reply } from './types.js'

/** What a message is asked for. */
export const fields =
  '{ id status content reasoning attempt error { code message retryable } finishReason conversation { id } }'

export type Stored = Omit<Reply, 'conversationId'> & { conversation: { id: string } }

export interface Delta {
  __typename: 'MessageDelta' | 'MessageReasoningDelta'
  cursor: string
  offset: number
  text: string
  message: { id: string; attempt: number }
}

export interface Whole<M = Stored> {
  __typename: 'MessageSnapshot' | 'MessageFinished'
  cursor?: string
  message: M
}

export type TextEvent = Delta | Whole

export const events = `... on MessageDelta { offset text message { id attempt } }
... on MessageReasoningDelta { offset text message { id attempt } }`

export const replyOf = ({ conversation, ...message }: Stored): Reply => ({
  ...message,
  conversationId: conversation.id,
})

/** The text of one attempt only grows: what comes again, or from a replica that is behind, takes nothing away. */
const grown = (held: string, next: string) => (held.startsWith(next) ? held : next)

/** A message in its new state, which replaces all but text of the same attempt that is ahead of it. */
export function replaced<M extends Reply>(held: M | undefined, next: M): M {
  if (held?.attempt !== next.attempt || next.status !== 'STREAMING') return next
  return { ...next, content: grown(held.content, next.content), reasoning: grown(held.reasoning, next.reasoning) }
}

/** The message with a delta; undefined when something was lost before it. */
export function extended<M extends Reply>(held: M, event: Delta): M | undefined {
  const field = event.__typename === 'MessageDelta' ? 'content' : 'reasoning'
  const { [field]: text, attempt } = held
  // The text of another attempt begins with a snapshot.
  if (event.message.attempt !== attempt) return held
  if (text.length < event.offset) return
  return { ...held, [field]: grown(text, text.slice(0, event.offset) + event.text) }
}
