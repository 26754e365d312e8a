import { useFragment, useMutation } from '@apollo/client/react'
import { loadMore, useListFeed } from './feeds'
import type { RowFieldsFragment } from './generated/graphql'
import { More } from './More'
import { listFields, signOutDocument } from './operations'
import { goTo, linkTo } from './route'
import { endSession, getSession } from './session'
import type { Session } from './session'

export function Sidebar({ user, route }: { user: Session['user']; route: string | null }) {
  const problem = useListFeed(user.id)
  const { data, complete } = useFragment({
    fragment: listFields,
    fragmentName: 'ListFields',
    from: { __typename: 'User', id: user.id },
  })
  const [tellServer] = useMutation(signOutDocument, { onError: () => {} })

  function signOut() {
    const authorization = `Bearer ${getSession()!.accessToken}`
    endSession() // also without a connection
    goTo('')
    void tellServer({ context: { headers: { authorization } } })
  }

  return (
    <nav className="sidebar" aria-label="Conversations">
      <header>
        <span className="brand">Parley</span>
        <a className="button" href={linkTo('')}>
          New chat
        </a>
      </header>
      <div className="rows scroller" aria-busy={!complete && !problem}>
        {problem && <p role="alert">{problem.message}</p>}
        {complete && (
          <>
            <ul>
              {data.conversations.nodes.map((conversation) => (
                <Row key={conversation.id} conversation={conversation} current={conversation.id === route} />
              ))}
            </ul>
            {data.conversations.pageInfo.hasNextPage && (
              <More cursor={data.conversations.pageInfo.endCursor!} load={loadMore}>
                Show more
              </More>
            )}
          </>
        )}
      </div>
      <footer>
        <span>{user.name || user.email}</span>
        <button className="link" onClick={signOut}>
          Sign out
        </button>
      </footer>
    </nav>
  )
}

function Row({ conversation, current }: { conversation: RowFieldsFragment; current: boolean }) {
  const { id, name, runningReply, queuedReplies } = conversation
  const state = runningReply ? 'A reply is being written' : queuedReplies.length ? 'A reply waits' : null
  return (
    <li>
      <a href={linkTo(id)} aria-current={current ? 'page' : undefined}>
        <span className="name">{name || 'New chat'}</span>
        {state && <span className="dot" data-running={!!runningReply} role="img" aria-label={state} />}
      </a>
    </li>
  )
}
