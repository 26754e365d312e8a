import { feed, type FeedOptions } from './feed.js'
import { events, extended, fields, replaced, replyOf, type TextEvent } from './text.js'
import type { Followed, Session } from './types.js'

const document = `subscription ($id: ID!, $after: String) { messageEvents(messageId: $id, after: $after) {
__typename
... on MessageSnapshot { cursor message ${fields} }
... on MessageFinished { message ${fields} }
... on MessageDelta { cursor }
... on MessageReasoningDelta { cursor }
${events}
} }`

/** The text of a reply whenever it has grown, until it is final: over lost connections, restarts and new attempts. It
 * throws Refused when there is no such message. */
export function follow(session: Session, messageId: string, options: FeedOptions = {}) {
  let after: string | null | undefined
  return feed<Followed, TextEvent>(
    session,
    document,
    () => ({ id: messageId, after }),
    options,
    (event, held) => {
      after = event.cursor
      if (!('offset' in event)) {
        // Later versions have more kinds.
        if (!event.message) return held
        return replaced(held, { ...replyOf(event.message), final: event.__typename === 'MessageFinished' })
      }
      const next = held && extended(held, event)
      if (!next) after = null
      return next
    },
    // The text is not the one that the cursor was made for.
    (code) => (after && code === 'BAD_USER_INPUT' ? (after = undefined) : false),
  )
}
