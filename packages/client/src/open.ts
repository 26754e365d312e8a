import { feed, type FeedOptions } from './feed.js'
import { changed, events, fields, replaced, replyOf, type Stored, type TextEvent } from './text.js'
import type { Opened, OpenMessage, Session } from './types.js'

const message = 'role index clientKey siblingCount siblingPosition ' + fields

const document =
  `subscription($id:ID!,$last:Int){conversationEvents(conversationId:$id)${events(message)}` +
  `...on MessageAdded{message{${message}}` +
  '...on ConversationUpdated{conversation{name headId}}' +
  '...on ConversationSnapshot{fromIndex conversation{id name headId ' +
  `messages(last:$last){nodes{${message}pageInfo{hasPreviousPage}}}}}}`

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
  | TextEvent<Node>

/** The conversation with these messages, by which it is also known what is being written. */
function showing(shown: Opened, messages: OpenMessage[]): Opened {
  const running = messages.find(({ status }) => status === 'STREAMING')
  return { ...shown, messages, runningReplyId: running?.id ?? null }
}

const find = (shown: Opened | undefined, wanted: string) => shown?.messages.find(({ id }) => id === wanted)

/** The messages above one. */
const above = (shown: Opened, first: number) => shown.messages.filter(({ index }) => index < first)

/** The first event, and what comes when another line is shown or something may have been missed. */
function opened(
  shown: Opened | undefined,
  { fromIndex, conversation: { messages, ...conversation } }: Event & { __typename: 'ConversationSnapshot' },
): Opened {
  const page = messages.nodes.map((node) => replaced(find(shown, node.id), replyOf(node)))
  const first = page[0]?.index ?? 0
  // What is above stays where it joins the page and is not in doubt.
  const rest = fromIndex !== null && first <= fromIndex ? above(shown!, first) : []
  const hasOlder = rest[0] ? shown!.hasOlder : messages.pageInfo.hasPreviousPage
  return showing({ ...conversation, hasOlder } as Opened, [...rest, ...page])
}

/** What is shown after an event: null when it was deleted, undefined when something was lost. */
function after(shown: Opened | undefined, event: Event): Opened | null | undefined {
  if (event.__typename === 'ConversationSnapshot') return opened(shown, event)
  if (event.__typename === 'ConversationDeleted') return null
  if (!shown) return
  if (event.__typename === 'ConversationUpdated') return { ...shown, ...event.conversation }
  // Later versions have more kinds.
  if (!('message' in event)) return shown
  const held = find(shown, event.message.id)
  if (!held && event.__typename !== 'MessageAdded') return shown
  const next = changed(held, event)
  if (!next || next === held) return next && shown
  return held
    ? showing(
        shown,
        shown.messages.map((message) => (message === held ? next : message)),
      )
    : showing({ ...shown, headId: next.id }, [...above(shown, next.index), next])
}

/** A conversation whenever something in it has changed, until it is deleted. It throws Refused when there is no such
 * conversation. */
export const open = (session: Session, id: string, { last = 50, ...options }: FeedOptions & { last?: number } = {}) =>
  feed(session, document, { id, last }, options, after, 'NOT_FOUND')
