// What watch() of the transport decides by.
import { isFinal, type ParleyMessage, textOf } from './message.js'

/** A Chat of React, Vue or Svelte, or what is like one. */
export interface Watched {
  readonly status: string
  messages: ParleyMessage[]
  resumeStream(): Promise<void>
}

/** Without the text that grows: the reply that is resumed has it. */
export const watching = `subscription ($id: ID!) { conversationEvents(conversationId: $id) { __typename
... on ConversationUpdated { conversation { headId } }
... on MessageAdded { message { id status } }
... on MessageSnapshot { message { id status } }
... on MessageFinished { message { id status } } } }`

export interface WatchEvent {
  __typename: string
  conversation?: { headId: string | null }
  message?: { id: string; status: string }
}

/** The message that an event tells of, null for any of them, undefined for none. */
export function touchedBy({ __typename, conversation, message }: WatchEvent): string | null | undefined {
  // Another line is shown, something may have been missed, or a text was corrected.
  if (__typename === 'ConversationSnapshot') return null
  if (__typename === 'MessageSnapshot' && isFinal(message!.status)) return null
  return message?.id ?? conversation?.headId ?? undefined
}

const facing = ['id', 'status', 'siblingCount', 'siblingPosition']

const face = (message: ParleyMessage) => textOf(message) + JSON.stringify(message.metadata, facing)

/** The newest messages of the server in place of those that are shown. What has not changed stays the same object, and
 * what is above them stays. */
export function merged(shown: ParleyMessage[], newest: ParleyMessage[]): ParleyMessage[] {
  const first = shown.findIndex(({ id }) => id === newest[0]?.id)
  const page = newest.map((message) => {
    const held = shown.find(({ id }) => id === message.id)
    return held && face(held) === face(message) ? held : message
  })
  return [...shown.slice(0, Math.max(first, 0)), ...page]
}
