import { codeOf, type Refused } from './refused.js'
import type { RunOptions } from './types.js'

/** Not at all for the first failure, then longer each time, up to 10 seconds, and not as long as everybody else. */
export const backOff = (failures: number) =>
  failures && Math.min(10_000, 250 * 2 ** failures) * (0.5 + Math.random() / 2)

/** Ends early, and without an error, when the signal says so. */
export const pause = (milliseconds: number, signal?: AbortSignal | undefined) =>
  new Promise<void>((done) => {
    const end = () => {
      clearTimeout(timer)
      signal?.removeEventListener('abort', end)
      done()
    }
    const timer = setTimeout(end, milliseconds)
    signal?.addEventListener('abort', end)
    if (signal?.aborted) end()
  })

/** What may go well after a while. */
export const transient = /^(UNAVAILABLE|OVERLOADED)$/

/** Tries until work succeeds, is refused for good, or would take longer than patience. */
export async function patiently<T>(
  work: () => Promise<T>,
  { patience = 60_000, signal, again = transient }: RunOptions,
): Promise<T> {
  const end = Date.now() + patience
  for (let failures = 0; ; failures++) {
    try {
      return await work()
    } catch (error) {
      if (!signal?.aborted) {
        if (!again.test(codeOf(error))) throw error
        const asked = +((error as Refused).extensions?.retryAfter ?? 0) * 1_000
        const wait = Math.max(asked * (1 + Math.random() / 5), backOff(failures))
        if (Date.now() + wait > end) throw error
        await pause(wait, signal)
      }
      if (signal?.aborted) throw signal.reason
    }
  }
}

/** The values of a generator. Its signal is given by return(), which so takes effect at once, also while the generator
 * waits, and by the outer signal. */
export function leaving<T>(
  outer: AbortSignal | undefined,
  work: (signal: AbortSignal) => AsyncGenerator<T, void, undefined>,
): AsyncIterableIterator<T> {
  const abort = new AbortController()
  const { signal } = abort
  const end = () => {
    outer?.removeEventListener('abort', end)
    abort.abort()
  }
  outer?.addEventListener('abort', end)
  if (outer?.aborted) end()
  const values = work(signal)
  return {
    [Symbol.asyncIterator]() {
      return this
    },
    async next() {
      const value = await values.next()
      if (value.done) end()
      return value
    },
    return() {
      end()
      return values.return()
    },
  }
}
