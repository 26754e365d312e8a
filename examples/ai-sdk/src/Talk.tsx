import { Chat, useChat } from '@ai-sdk/react'
import type { ParleyMessage, ParleyTransport } from '@parley/ai-sdk'
import { useEffect, useState } from 'react'

export function Talk({ transport }: { transport: ParleyTransport }) {
  const [chat] = useState(() => new Chat<ParleyMessage>({ transport }))
  const [end, setEnd] = useState<string>()
  const { messages, status, error, sendMessage, regenerate, stop } = useChat({ chat })
  // Leaving ends only what is watched. The reply goes on on the server.
  useEffect(() => transport.watch(chat, (error) => setEnd(reasonOf(error))), [transport, chat])
  const busy = status === 'submitted' || status === 'streaming'

  if (end) return <Ended reason={end} />

  return (
    <>
      <a href="#">New chat</a>
      {messages.map((message) => (
        <Message key={message.id} message={message} />
      ))}
      {error && <p role="alert">{`${error.message} (${(error as Error & { code?: string }).code})`}</p>}
      <Composer disabled={busy} onSend={(text) => void sendMessage({ text })} />
      {busy ? (
        <button onClick={() => void stop()}>Stop</button>
      ) : (
        messages.length > 0 && <button onClick={() => void regenerate()}>Regenerate</button>
      )}
    </>
  )
}

const reasonOf = (error: unknown) => (error ? (error as Error).message : 'This conversation was deleted.')

function Ended({ reason }: { reason: string }) {
  return (
    <>
      <a href="#">New chat</a>
      <p role="alert">{reason}</p>
    </>
  )
}

function Message({ message: { role, parts, metadata } }: { message: ParleyMessage }) {
  const { status, siblingCount = 1, siblingPosition } = metadata ?? {}
  return (
    <article className={role} data-status={status}>
      {parts.map((part, index) => {
        if (part.type === 'reasoning') return <blockquote key={index}>{part.text}</blockquote>
        if (part.type === 'text') return <p key={index}>{part.text}</p>
        if (part.type !== 'source-url') return null
        return <a key={index} href={part.url} children={part.title ?? part.url} />
      })}
      {siblingCount > 1 && <small>{`Version ${siblingPosition} of ${siblingCount}`}</small>}
    </article>
  )
}

function Composer({ disabled, onSend }: { disabled: boolean; onSend: (text: string) => void }) {
  const [text, setText] = useState('')
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault()
        if (disabled || !text.trim()) return
        onSend(text)
        setText('')
      }}
    >
      <input aria-label="Message" value={text} onChange={(event) => setText(event.target.value)} autoFocus />
      <button disabled={disabled}>Send</button>
    </form>
  )
}
