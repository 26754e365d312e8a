import type { Refused } from './refused.js'
import type { Session } from './types.js'
import { leaving, turns } from './wait.js'

export interface FeedOptions {
  /** Ends the iteration, without an error. */
  signal?: AbortSignal | undefined
}

/** States that come of events, also behind holes and ends that were none. step gives the next state, null for the end,
 * and undefined when something was lost. A refusal with the code `gone` is an end where there was something before. */
export const feed = <S extends object, E extends object>(
  session: Session,
  document: string,
  /** `after` is the cursor of the last event, where events have one. */
  variables: { id: string; last?: number; after?: string | undefined },
  { signal }: FeedOptions,
  step: (state: S | undefined, event: E) => S | null | undefined,
  gone?: string,
) =>
  leaving<S>(signal, async function* (signal) {
    let state: S | undefined
    for await (const _ of turns(signal)) {
      try {
        for await (const data of session.subscribe<Record<string, E>, object>(document, () => variables, { signal })) {
          const event = Object.values(data)[0]!
          const next = step(state, event)
          if (next === null) return
          variables.after = next && (event as { cursor?: string }).cursor
          if (!next) break
          if (next !== state) yield (state = next)
          if ((next as { final?: boolean }).final) return
        }
      } catch (error) {
        const { code } = error as Refused
        if (state && code === gone) return
        // The text is not the one that the cursor was made for.
        if (!variables.after || code !== 'BAD_USER_INPUT') throw error
        variables.after = undefined
      }
    }
  })
