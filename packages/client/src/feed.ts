import { Refused } from './refused.js'
import type { Session } from './types.js'
import { backOff, leaving, pause } from './wait.js'

export interface FeedOptions {
  /** Ends the iteration, without an error. */
  signal?: AbortSignal | undefined
}

/** How long a subscription has to last for the next one to follow at once: a server that ends each after a few
 * events is not asked without a pause. */
const lasting = 5_000

/** States that come of events, also behind holes and ends that were none. step gives the next state, null for the end,
 * and undefined when something was lost; solve does the same for what the server refuses. */
export const feed = <S extends object, E>(
  session: Session,
  document: string,
  variables: () => object,
  options: FeedOptions,
  step: (event: E, state: S | undefined) => S | null | undefined,
  solve: (code: string, state: S | undefined) => null | undefined | false,
) =>
  leaving<S>(options.signal, async function* (signal) {
    let state: S | undefined
    for (let failures = 0; !signal.aborted; failures++) {
      await pause(backOff(failures), signal)
      const begun = Date.now()
      try {
        for await (const data of session.subscribe<Record<string, E>, object>(document, variables, { signal })) {
          const next = step(Object.values(data)[0]!, state)
          if (next === null) return
          if (!next) break
          if (next !== state) yield (state = next)
          if ('final' in next && next.final) return
        }
      } catch (error) {
        const solved = error instanceof Refused && solve(error.code, state)
        if (solved === null) return
        if (solved === false) throw error
      }
      if (Date.now() - begun > lasting) failures = -1
    }
  })
