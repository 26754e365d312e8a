import { useFragment } from '@apollo/client/react'
import { memo, useDeferredValue } from 'react'
import Markdown from 'react-markdown'
import type { Components } from 'react-markdown'
import remarkGfm from 'remark-gfm'
import remend from 'remend'
import { messageFields } from './operations'
import { discard, retry, stop } from './outbox'
import type { Pending } from './outbox'
import { delayOf } from './problem'
import { regenerate, turn } from './versions'

/** One message. It reads its own text, so that a delta renders nothing else. */
export const Message = memo(({ id, busy }: { id: string; busy: boolean }) => {
  const { data, complete } = useFragment({ fragment: messageFields, from: { __typename: 'Message', id } })
  if (!complete || data.role === 'SYSTEM') return null
  const { role, content, status, error } = data
  if (role === 'USER') {
    return (
      <>
        <article className="user" aria-label="You">
          {content}
          {status === 'STOPPED' && <p className="state">Cancelled</p>}
        </article>
        <Versions message={data} busy={busy} />
      </>
    )
  }
  return (
    <>
      <article className="reply" aria-label="Reply" data-status={status}>
        {status === 'QUEUED' && (
          <p className="state">
            Waits for the reply before it <button onClick={() => void stop(id).catch(() => {})}>Cancel</button>
          </p>
        )}
        {status === 'STREAMING' && !content && <p className="state thinking">Thinking</p>}
        <Reply text={content} growing={status === 'STREAMING'} />
        {status === 'STOPPED' && <p className="state">Stopped</p>}
        {error && status !== 'STOPPED' && <p className="problem">{error.message}</p>}
      </article>
      <Versions message={data} busy={busy} />
    </>
  )
})

interface Version {
  id: string
  role: string
  siblingCount: number
  siblingPosition: number
}

/** Which version it is of how many, ‹ 2/3 ›, and below a reply a button for another one. */
function Versions({ message, busy }: { message: Version; busy: boolean }) {
  const { id, role, siblingCount, siblingPosition } = message
  if (siblingCount === 1 && role === 'USER') return null
  const change = (done: Promise<unknown>) => void done.catch(() => {}) // The feed says what is so.
  return (
    <div className={`versions ${role === 'USER' ? 'of-user' : ''}`} role="group" aria-label="Versions">
      {siblingCount > 1 && (
        <>
          <button
            aria-label="Version before"
            disabled={busy || siblingPosition === 1}
            onClick={() => change(turn(id, -1))}
          >
            ‹
          </button>
          {siblingPosition}/{siblingCount}
          <button
            aria-label="Version behind"
            disabled={busy || siblingPosition === siblingCount}
            onClick={() => change(turn(id, 1))}
          >
            ›
          </button>
        </>
      )}
      {role === 'ASSISTANT' && (
        <button disabled={busy} onClick={() => change(regenerate(id))}>
          Regenerate
        </button>
      )}
    </div>
  )
}

/** Markdown of a model: no HTML, and nothing that loads by itself. */
function Reply({ text, growing }: { text: string; growing: boolean }) {
  // Typing goes first: where the machine is slow, the text grows in larger steps.
  const shown = useDeferredValue(text)
  return (
    <Markdown remarkPlugins={[remarkGfm]} components={components}>
      {growing ? remend(shown) : shown}
    </Markdown>
  )
}

const components: Components = {
  a: ({ href, children }) => (
    <a href={href} target="_blank" rel="noreferrer">
      {children}
    </a>
  ),
  // An image would tell its server what was said.
  img: ({ src, alt }) => (
    <a href={String(src)} target="_blank" rel="noreferrer">
      {alt || 'image'}
    </a>
  ),
  // Wide blocks scroll by themselves, also with the keyboard.
  pre: ({ children }) => <pre tabIndex={0}>{children}</pre>,
  table: ({ children }) => (
    <div className="wide" tabIndex={0}>
      <table>{children}</table>
    </div>
  ),
}

/** A message that the server may not have yet. */
export function Unsent({ message: { clientKey, content, problem } }: { message: Pending }) {
  return (
    <article className="user unsent" aria-label="You">
      {content}
      {problem && (
        <p className="problem" role="alert">
          {problem.message}{' '}
          {delayOf(problem) ? (
            'It is sent again by then. '
          ) : (
            <button onClick={() => void retry(clientKey)}>Try again</button>
          )}{' '}
          <button onClick={() => discard(clientKey)}>Discard</button>
        </p>
      )}
    </article>
  )
}
