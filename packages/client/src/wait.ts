/** Not at all for the first failure, then longer each time, up to 10 seconds, and not as long as everybody else. */
export const backOff = (failures: number) =>
  failures && Math.min(10_000, 250 * 2 ** failures) * (0.5 + Math.random() / 2)

/** What may go well after a while. */
export const transient = /^(UNAVAILABLE|OVERLOADED)$/

/** What ends by itself, by the outer signal, or after so many milliseconds if they are given: once, and it takes its
 * listener and its timer with it. */
export function within(outer?: AbortSignal, milliseconds?: number, ended?: () => void) {
  const abort = new AbortController()
  const end = () => {
    clearTimeout(timer as number)
    outer?.removeEventListener('abort', end)
    abort.abort()
    ended?.()
  }
  const timer = milliseconds! >= 0 && setTimeout(end, milliseconds)
  outer?.addEventListener('abort', end)
  if (outer?.aborted) end()
  return [abort.signal, end] as const
}

/** Ends early, and without an error, when the signal says so. */
export const pause = (milliseconds: number, signal?: AbortSignal | undefined) =>
  new Promise<void>((done) => within(signal, milliseconds, done))

/** How long something has to last to begin again at once when it has ended: a server that ends each subscription after
 * a few events is not asked without a pause. */
const lasting = 5_000

/** The turns of something that is begun again whenever it ends, until the signal says so: after a back-off, and at once
 * when the turn before has lasted. */
export async function* turns(signal: AbortSignal): AsyncGenerator<void, void, undefined> {
  for (let failures = 0; !signal.aborted; failures++) {
    if (failures) await pause(backOff(failures), signal)
    const begun = Date.now()
    yield
    if (Date.now() - begun > lasting) failures = -1
  }
}

/** The values of a generator. Its signal is given by return(), which so takes effect at once, also while the generator
 * waits, and by the outer signal. */
export function leaving<T>(
  outer: AbortSignal | undefined,
  work: (signal: AbortSignal) => AsyncGenerator<T, void, undefined>,
): AsyncGenerator<T, void, undefined> {
  const [signal, end] = within(outer)
  const inner = work(signal)
  const values = (async function* () {
    try {
      yield* inner
    } finally {
      end()
    }
  })()
  const leave = values.return
  values.return = () => {
    end()
    return leave.call(values)
  }
  return values
}
