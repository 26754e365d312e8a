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

/** One message. It reads its own text, so that a delta renders nothing else. */
export const Message = memo(({ id }: { id: string }) => {
  const { data, complete } = useFragment({ fragment: messageFields, from: { __typename: 'Message', id } })
  if (!complete || data.role === 'SYSTEM') return null
  const { role, content, status, error } = data
  if (role === 'USER') {
    return (
      <article className="user" aria-label="You">
        {content}
        {status === 'STOPPED' && <p className="state">Cancelled</p>}
      </article>
    )
  }
  return (
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
  )
})

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
