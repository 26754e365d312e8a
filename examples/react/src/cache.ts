// How pages and events meet in Apollo's cache.
import { InMemoryCache } from '@apollo/client'
import type { FieldPolicy, Reference } from '@apollo/client'
import generated from './generated/possibleTypes'

/** A connection as the cache holds it. */
interface List {
  nodes: Reference[]
  pageInfo: { hasNextPage?: boolean; hasPreviousPage?: boolean; startCursor?: string | null; endCursor?: string | null }
}

/** The messages of a conversation, by index. The line that is shown may change from any of them on. */
const messages: FieldPolicy<List> = {
  keyArgs: false,
  merge(held, page, { args, readField }) {
    const index = (node: Reference) => readField<number>('index', node)!
    const [first, last] = [page.nodes[0], page.nodes.at(-1)]
    if (!held || !first || !last) return held && args?.['before'] ? held : page
    const older = held.nodes.filter((node) => index(node) < index(first))
    const newer = args?.['before'] ? held.nodes.filter((node) => index(node) > index(last)) : []
    // Older messages stay when one of the page was held: what stands before it is the same on every line. Otherwise
    // they may be of another branch, and are loaded again when they are wanted.
    const joins = older.length > 0 && held.nodes.some(({ __ref }) => page.nodes.some((node) => node.__ref === __ref))
    return joins
      ? { ...page, pageInfo: held.pageInfo, nodes: [...older, ...page.nodes, ...newer] }
      : { ...page, nodes: [...page.nodes, ...newer] }
  },
}

/** The list of conversations, the one with the latest message first: its order changes while it is shown. */
const conversations: FieldPolicy<List> = {
  keyArgs: ['archived', 'pinned'],
  merge(held, page, { args, readField }) {
    const time = (node?: Reference) => timeOf(readField<string>('lastMessageAt', node))
    // A page is the truth about the stretch between its ends. What is held above and below it stays.
    const others = held?.nodes.filter(({ __ref }) => !page.nodes.some((node) => node.__ref === __ref)) ?? []
    const above = args?.['after'] ? others.filter((node) => time(node) >= time(page.nodes[0])) : []
    const below = page.pageInfo.hasNextPage ? others.filter((node) => time(node) < time(page.nodes.at(-1))) : []
    return {
      ...page,
      pageInfo: below.length ? held!.pageInfo : page.pageInfo,
      nodes: [...above, ...page.nodes, ...below],
    }
  },
  read(held, { readField, canRead }) {
    const time = (node: Reference) => timeOf(readField<string>('lastMessageAt', node))
    // What was deleted cannot be read, and what was archived is not listed.
    const nodes = held?.nodes.filter((node) => canRead(node) && !readField('archivedAt', node))
    return held && { ...held, nodes: nodes!.toSorted((a, b) => (time(a) < time(b) ? 1 : -1)) }
  },
}

/** An instant as text that sorts: on the wire, zeros at its end are left out. */
const timeOf = (instant = '') => instant.replace('Z', '').padEnd(26, ' ')

export const cache = new InMemoryCache({
  possibleTypes: generated.possibleTypes, // of unions and interfaces: without them Apollo warns at each event
  typePolicies: {
    // An event replaces the one before it, and a list without a policy the list before it.
    Subscription: { fields: { conversationEvents: { merge: false }, viewerEvents: { merge: false } } },
    User: { fields: { conversations } },
    Conversation: { fields: { messages, queuedReplies: { merge: false } } },
  },
})

export const refTo = (type: 'User' | 'Conversation' | 'Message', id: string) => ({ __ref: `${type}:${id}` })

/** Puts a new or changed conversation into the list; read finds its place. */
export function putConversation(user: string, { id, lastMessageAt }: { id: string; lastMessageAt: string }) {
  const node = refTo('Conversation', id)
  cache.modify<Record<string, any>>({
    id: refTo('User', user).__ref,
    fields: {
      conversations(held: List, { readField }) {
        const oldest = held.nodes.map((node) => timeOf(readField<string>('lastMessageAt', node))).sort()[0]
        // What belongs to a page that is not loaded comes with it.
        return held.pageInfo.hasNextPage && oldest && timeOf(lastMessageAt) < oldest ? held : put(held, node)
      },
    },
  })
}

export function putMessage(conversation: string, { id }: { id: string }) {
  cache.modify<Record<string, any>>({
    id: refTo('Conversation', conversation).__ref,
    fields: { messages: (held: List) => put(held, refTo('Message', id)) },
  })
}

const put = (held: List, { __ref }: Reference): List =>
  held.nodes.some((node) => node.__ref === __ref) ? held : { ...held, nodes: [...held.nodes, { __ref }] }

/** Applies a delta to the text of a message; false when the text before it is missing. */
export function extendMessage({ message, offset, text }: { message: { id: string }; offset: number; text: string }) {
  let fits = false
  cache.modify<Record<string, any>>({
    id: refTo('Message', message.id).__ref,
    fields: {
      content(held: string) {
        fits = held.length >= offset
        return fits ? held.slice(0, offset) + text : held
      },
    },
  })
  return fits
}
