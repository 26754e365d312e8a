import { useFragment, useReactiveVar } from '@apollo/client/react'
import { useEffect, useRef } from 'react'
import type { ReactNode } from 'react'
import { Composer } from './Composer'
import { loadOlder, useConversationFeed } from './feeds'
import { Message, Unsent } from './Message'
import { More } from './More'
import { chatFields } from './operations'
import { discard, outbox } from './outbox'

/** A conversation, or the beginning of one. */
export function Chat({ id }: { id: string | null }) {
  return id ? <OpenChat id={id} /> : <Frame id={null} name="New chat" hint="Ask anything." />
}

function OpenChat({ id }: { id: string }) {
  const problem = useConversationFeed(id)
  const { data, complete } = useFragment({
    fragment: chatFields,
    fragmentName: 'ChatFields',
    from: { __typename: 'Conversation', id },
  })
  if (problem) return <Frame id={id} name="Not here" hint={problem.message} closed />
  if (!complete) return <Frame id={id} name={data.name ?? 'Chat'} />
  const { nodes, pageInfo } = data.messages
  const running = nodes.find(({ status }) => status === 'STREAMING')?.id
  return (
    <Frame
      id={id}
      name={data.name || 'New chat'}
      running={running}
      stored={nodes.map(({ clientKey }) => clientKey)}
    >
      {pageInfo.hasPreviousPage && (
        <More cursor={pageInfo.startCursor!} load={(cursor) => loadOlder(id, cursor)}>
          Show older messages
        </More>
      )}
      {nodes.map((node) => (
        <Message key={node.id} id={node.id} busy={!!running} />
      ))}
    </Frame>
  )
}

interface FrameProps {
  id: string | null
  name: string
  hint?: string
  /** Nothing can be sent here. */
  closed?: boolean
  /** The reply that is being written. */
  running?: string | undefined
  /** The keys of the messages that the server has. */
  stored?: (string | null | undefined)[]
  children?: ReactNode
}

function Frame({ id, name, hint, closed, running, stored = [], children }: FrameProps) {
  // A message is shown once: as it was sent until it comes back with its key.
  const sent = useReactiveVar(outbox).filter((message) => message.conversationId === id)
  const unsent = sent.filter(({ clientKey }) => !stored.includes(clientKey))
  useEffect(() => {
    for (const { clientKey } of sent) if (stored.includes(clientKey)) discard(clientKey)
  })
  // One's own message is shown, also to those who have scrolled up.
  const log = useRef<HTMLDivElement>(null)
  useEffect(() => {
    if (unsent.length) log.current!.scrollTo({ top: 0 })
  }, [unsent.length])
  return (
    <section className="chat" aria-label="Chat">
      <title>{`${name} · Parley`}</title>
      <header>
        <a className="back" href="#" aria-label="All conversations">
          ‹
        </a>
        <h2>{name}</h2>
      </header>
      {/* The column is reversed: its end stays in view while it grows, and nothing jumps when older messages come. */}
      <div className="log scroller" ref={log} tabIndex={0} role="log" aria-label="Messages" aria-busy={!!running}>
        <div className="messages">
          {children}
          {unsent.map((message) => (
            <Unsent key={message.clientKey} message={message} />
          ))}
          {hint && unsent.length === 0 && <p className="hint">{hint}</p>}
        </div>
      </div>
      {/* One first message begins a conversation, a second one would begin another. */}
      {!closed && <Composer id={id} running={running} busy={!id && unsent.length > 0} />}
    </section>
  )
}
