import { feed, type FeedOptions } from './feed.js'
import { changed, events, fields, type TextEvent } from './text.js'
import type { Followed, Session } from './types.js'

const asked = events(fields, ' cursor')
const document = `subscription($id:ID!,$after:String){messageEvents(messageId:$id,after:$after)${asked}}}`

/** The text of a reply whenever it has grown, until it is final: over lost connections, restarts and new attempts. It
 * throws Refused when there is no such message. */
export const follow = (session: Session, messageId: string, options: FeedOptions = {}) =>
  feed(session, document, { id: messageId }, options, (held: Followed | undefined, event: TextEvent) =>
    changed(held, event, { final: event.__typename === 'MessageFinished' }),
  )
