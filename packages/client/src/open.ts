import { feed, type FeedOptions } from './feed.js'
import { events, extended, fields, replaced, replyOf, type Delta, type Stored, type Whole } from './text.js'
import type { Opened, OpenMessage, Session } from './types.js'

const message = fields.replace('{', '{ role index clientKey siblingCount siblingPosition')

const document = `subscription ($id: ID!, $last: Int) { conversationEvents(conversationId: $id) {
__typename
... on ConversationSnapshot { fromIndex conversation { id name headId
messages(last: $last) { nodes ${message} pageInfo { hasPreviousPage } } } }
... on ConversationUpdated { conversation { name headId } }
... on MessageAdded { message ${message} }
... on MessageSnapshot { message ${message} }
... on MessageFinished { message ${message} }
${events}
} }`

type Node = Stored & Omit<OpenMessage, keyof Stored>

type Event =
  | {
      __typename: 'ConversationSnapshot'
      fromIndex: number | null
      conversation: {
        id: string
        name: string
        headId: string | null
        messages: { nodes: Node[]; pageInfo: { hasPreviousPage: boolean } }
      }
    }
  | { __typename: 'ConversationUpdated'; conversation: { name: string; headId: string | null } }
  | { __typename: 'ConversationDeleted' }
  | { __typename: 'MessageAdded'; message: Node }
  | Whole<Node>
  | Delta

const openMessage = (node: Node) => replyOf(node) as OpenMessage

/** The conversation with these messages, by which it is also known what is being written. */
function showing(shown: Opened, messages: OpenMessage[]): Opened {
  const running = messages.find(({ status }) => status === 'STREAMING')
  return { ...shown, messages, runningReplyId: running?.id ?? null }
}

/** The first event, and what comes when another line is shown or something may have been missed. */
function opened(
  shown: Opened | undefined,
  { fromIndex, conversation: { messages, ...conversation } }: Event & { __typename: 'ConversationSnapshot' },
): Opened {
  const page = messages.nodes.map((node) =>
    replaced(
      shown?.messages.find(({ id }) => id === node.id),
      openMessage(node),
    ),
  )
  const first = page[0]?.index ?? 0
  // What is above stays where it joins the page and is not in doubt.
  const above = fromIndex !== null && first <= fromIndex ? shown!.messages.filter(({ index }) => index < first) : []
  const hasOlder = above.length ? shown!.hasOlder : messages.pageInfo.hasPreviousPage
  return showing({ ...conversation, hasOlder } as Opened, [...above, ...page])
}

/** What is shown after an event: null when it was deleted, undefined when something was lost. */
function after(event: Event, shown: Opened | undefined): Opened | null | undefined {
  if (event.__typename === 'ConversationSnapshot') return opened(shown, event)
  if (event.__typename === 'ConversationDeleted') return null
  if (!shown) return
  if (event.__typename === 'ConversationUpdated') return { ...shown, ...event.conversation }
  // Later versions have more kinds.
  if (!('message' in event)) return shown
  const held = shown.messages.find(({ id }) => id === event.message.id)
  if (!held && event.__typename !== 'MessageAdded') return shown
  const next = 'offset' in event ? extended(held!, event) : replaced(held, openMessage(event.message))
  if (!next || next === held) return next && shown
  if (held)
    return showing(
      shown,
      shown.messages.map((message) => (message === held ? next : message)),
    )
  const line = shown.messages.filter(({ index }) => index < next.index)
  return showing({ ...shown, headId: next.id }, [...line, next])
}

/** A conversation whenever something in it has changed, until it is deleted. It throws Refused when there is no such
 * conversation. */
export const open = (
  session: Session,
  conversationId: string,
  { last = 50, ...options }: FeedOptions & { last?: number } = {},
) =>
  feed<Opened, Event>(
    session,
    document,
    () => ({ id: conversationId, last }),
    options,
    after,
    // It was deleted while the connection was lost.
    (code, shown) => (shown && code === 'NOT_FOUND' ? null : false),
  )
