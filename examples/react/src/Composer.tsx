import { useRef, useState } from 'react'
import type { KeyboardEvent } from 'react'
import { send, stop } from './outbox'

export function Composer({ id, running, busy }: { id: string | null; running?: string | undefined; busy: boolean }) {
  const [text, setText] = useState('')
  const form = useRef<HTMLFormElement>(null)

  function submit() {
    if (busy || !text.trim()) return
    send(text, id)
    setText('')
  }

  function onKeyDown(event: KeyboardEvent) {
    // Enter also ends a word in Chinese, Japanese and Korean.
    if (event.key !== 'Enter' || event.shiftKey || event.nativeEvent.isComposing) return
    event.preventDefault()
    form.current!.requestSubmit()
  }

  return (
    <form className="composer" ref={form} action={submit}>
      <textarea
        aria-label="Message"
        placeholder="Write a message"
        rows={1}
        value={text}
        autoFocus={matchMedia('(min-width: 700px)').matches} // on a phone it would open the keyboard
        onChange={(event) => setText(event.target.value)}
        onKeyDown={onKeyDown}
      />
      {running && (
        <button type="button" onClick={() => void stop(running).catch(() => {})}>
          Stop
        </button>
      )}
      <button className="primary" disabled={busy || !text.trim()}>
        Send
      </button>
    </form>
  )
}
