import type { Reply } from './types.js'

/** What a message is asked for. */
export const fields = 'id status content reasoning attempt error{code message retryable}finishReason conversation{id}}'

export type Stored = Omit<Reply, 'conversationId'> & { conversation: { id: string } }

export interface Delta {
  __typename: 'MessageDelta' | 'MessageReasoningDelta'
  cursor?: string
  offset: number
  text: string
  message: { id: string; attempt: number }
}

export interface Whole<M = Stored> {
  __typename: 'MessageSnapshot' | 'MessageFinished' | 'MessageAdded'
  cursor?: string
  message: M
}

export type TextEvent<M = Stored> = Delta | Whole<M>

/** How a document asks for messages that change, up to where it may ask for more events. */
export const events = (fields: string, cursor = '') =>
  '{__typename...on MessageEvent{message{id attempt}}' +
  `...on MessageDelta{offset text${cursor}}` +
  `...on MessageReasoningDelta{offset text${cursor}}` +
  `...on MessageSnapshot{message{${fields}${cursor}}` +
  `...on MessageFinished{message{${fields}}`

export const replyOf = <M extends Stored>({ conversation, ...message }: M) => ({
  ...message,
  conversationId: conversation.id,
})

/** The text of one attempt only grows: what comes again, or from a replica that is behind, takes nothing away. */
const grown = (held: string, next: string) => (held.startsWith(next) ? held : next)

/** A message in its new state, which replaces all but text of the same attempt that is ahead of it. */
export const replaced = <M extends Reply>(held: M | undefined, next: M): M =>
  held?.attempt !== next.attempt || next.status !== 'STREAMING'
    ? next
    : { ...next, content: grown(held.content, next.content), reasoning: grown(held.reasoning, next.reasoning) }

/** A message after an event, of later versions too; undefined when something was lost before it. */
export function changed<M extends Reply, N extends Stored>(
  held: M | undefined,
  event: TextEvent<N>,
  more?: Partial<M>,
): M | undefined {
  if (!('offset' in event))
    return event.message ? replaced(held, { ...replyOf(event.message), ...more } as unknown as M) : held
  if (!held) return
  const field = event.__typename === 'MessageDelta' ? 'content' : 'reasoning'
  const { [field]: text, attempt } = held
  // The text of another attempt begins with a snapshot.
  if (event.message.attempt !== attempt) return held
  if (text.length < event.offset) return
  return { ...held, [field]: grown(text, text.slice(0, event.offset) + event.text) }
}
