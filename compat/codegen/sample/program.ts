// A client's heart: what it makes of an event, with every kind of event named. It is
// compiled with the types that each generator writes, as ./types.
import type { Event, SendInput, SendResult } from './types'

export function apply(content: string, event: Event): string {
  switch (event.__typename) {
    case 'MessageSnapshot':
    case 'MessageFinished':
      return event.message.content
    case 'MessageDelta':
      return content.slice(0, event.offset) + event.text
    case 'MessageReasoningDelta':
      return content
    default:
      return unknown(content, event)
  }
}

export function failure(event: Event): string | undefined {
  return event.__typename === 'MessageFinished' && event.message.status === 'FAILED'
    ? event.message.error?.code
    : undefined
}

// Clients ignore types they do not know; the compiler proves that there are none.
function unknown(content: string, event: EventOfTheFuture): string {
  void event
  return content
}

// Relay's types say that there may be others; those of the other generators do not.
type EventOfTheFuture = Extract<Event, { readonly __typename: '%other' }>

export const input: SendInput = { content: 'Hello', clientKey: 'a-key-of-mine', wait: true }

export function sent(result: SendResult): string {
  const { conversation, reply, deduplicated } = result
  const text: string = conversation.name
  const again: boolean = deduplicated
  const when: string = conversation.createdAt
  return `${reply.id} ${text} ${again} ${when}`
}
