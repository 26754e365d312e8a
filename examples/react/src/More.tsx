import { useEffect, useEffectEvent, useRef, useState } from 'react'

/** The end of what is loaded. More is loaded when it comes near the visible part, and as long as it is there. */
export function More({
  cursor,
  load,
  children,
}: {
  cursor: string
  load: (cursor: string) => Promise<unknown>
  children: string
}) {
  const [state, setState] = useState<'idle' | 'loading' | 'failed'>('idle')
  const button = useRef<HTMLButtonElement>(null)

  async function more() {
    if (state === 'loading') return
    setState('loading')
    setState(
      await load(cursor).then(
        () => 'idle' as const,
        () => 'failed' as const,
      ),
    )
  }

  const seen = useEffectEvent(() => void more())
  // The next page may be shown before the answer with it is over: what is seen then is seen again when it is.
  useEffect(() => {
    if (state !== 'idle') return
    const observer = new IntersectionObserver(([entry]) => entry?.isIntersecting && seen(), {
      root: button.current!.closest('.scroller'),
      rootMargin: '300px',
    })
    observer.observe(button.current!)
    return () => observer.disconnect()
  }, [cursor, state])

  return (
    <button className="more" ref={button} onClick={more} aria-disabled={state === 'loading'}>
      {state === 'loading' ? 'Loading …' : state === 'failed' ? 'That did not work. Try again' : children}
    </button>
  )
}
