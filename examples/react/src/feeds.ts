// The two feeds: the list of conversations, and the open one. What they tell goes into the cache; components follow.
import { useSubscription } from '@apollo/client/react'
import { useEffect, useState } from 'react'
import { cache, extendMessage, putConversation, putMessage, refTo } from './cache'
import { client } from './client'
import { conversationEventsDocument, moreDocument, olderDocument, viewerEventsDocument } from './operations'
import { isPassing, problemOf } from './problem'
import type { Problem } from './problem'

/** Follows the list of conversations; returns why that is not possible. */
export function useListFeed(user: string): Problem | null {
  const [problem, setProblem] = useProblem(() => restart())
  const { restart } = useSubscription(viewerEventsDocument, {
    ignoreResults: true, // The cache tells the components: this one is not rendered for each event.
    onError: (error) => setProblem(problemOf(error)),
    onData({ data }) {
      const event = data.data?.viewerEvents
      switch (event?.__typename) {
        case 'ViewerReady': // Something may have been missed. The top of the list has come with it.
          return refresh(event.viewer.conversations.nodes.length)
        case 'ConversationCreated':
        case 'ConversationUpdated':
          return putConversation(user, event.conversation)
        case 'ConversationDeleted':
          cache.evict({ id: refTo('Conversation', event.conversationId).__ref })
          cache.gc()
      }
    },
  })
  return problem
}

/** Follows one conversation; returns why that is not possible. */
export function useConversationFeed(id: string): Problem | null {
  const [problem, setProblem] = useProblem(() => restart())
  const { restart } = useSubscription(conversationEventsDocument, {
    variables: { id },
    ignoreResults: true,
    onError: (error) => setProblem(problemOf(error)),
    onData({ data }) {
      const event = data.data?.conversationEvents
      switch (event?.__typename) {
        case 'MessageAdded':
          return putMessage(id, event.message)
        case 'MessageDelta':
          if (!extendMessage(event)) restart() // A hole: it begins again, with a snapshot.
          return
        case 'ConversationDeleted':
          setProblem({ code: 'NOT_FOUND', message: 'This conversation was deleted.', fields: {} })
      }
    },
  })
  return problem
}

/** Begins a subscription again when its problem has passed; other problems are for the user. */
function useProblem(restart: () => void) {
  const [problem, setProblem] = useState<Problem | null>(null)
  useEffect(() => {
    if (!problem || !isPassing(problem)) return
    const timer = setTimeout(restart, (problem.retryAfter ?? 2) * 1000)
    return () => clearTimeout(timer)
  }, [problem])
  return [problem && !isPassing(problem) ? problem : null, setProblem] as const
}

/** Loads the next conversations of the list. */
export const loadMore = (after: string | null, first = 30) =>
  client.query({ query: moreDocument, variables: { first, after }, fetchPolicy: 'network-only' })

/** Loads the messages before those that are held. */
export const loadOlder = (id: string, before: string) =>
  client.query({ query: olderDocument, variables: { id, before }, fetchPolicy: 'network-only' })

/** Loads the list again as far as it is shown. (What an event holds is read from the cache: it is the whole list.) */
function refresh(shown: number) {
  // An error comes again with the next page that the user asks for.
  if (shown > 30) loadMore(null, Math.min(shown, 100)).catch(() => {})
}
