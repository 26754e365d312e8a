/** What the server has refused. The codes are in docs/protocol.md. UNAVAILABLE is also what is thrown when there is no
 * answer: then it is not known whether the request has arrived. */
export class Refused extends Error {
  declare readonly code: string
  /** The error's other extensions: retryAfter, fields, headId, … */
  declare readonly extensions: Record<string, unknown>

  /** What this package itself refuses says no more than its code. */
  constructor(code: string, message = code, extensions: Record<string, unknown> = {}) {
    super(message)
    this.name = 'Refused'
    this.code = code
    this.extensions = extensions
  }
}

export type Errors = { message: string; extensions?: Record<string, unknown> }[]

export interface Answer<T> {
  data?: T | null
  errors?: Errors
}

/** What an answer refuses, or a list of errors. */
export function refusal(answer: Answer<unknown> | Errors): Refused | undefined {
  const error = (((answer as Answer<unknown>).errors ?? answer) as Partial<Errors>)[0]
  return error && new Refused((error.extensions?.code ?? 'INTERNAL') as string, error.message, error.extensions)
}

/** There is no session, or none any more. */
export const signedOut = () => new Refused('UNAUTHENTICATED')

export const isOver = (error: unknown) => (error as Refused).code === 'UNAUTHENTICATED'

/** For catch: nothing, when the session is over. */
export function unlessOver(error: unknown): undefined {
  if (!isOver(error)) throw error
}

/** For catch: no answer. */
export const none = () => undefined

/** The body of a JSON answer, or what it refuses. A proxy before a server that restarts answers with a page of its
 * own: that is as if there were no answer. */
export async function answerOf<T>(response: Response | undefined): Promise<Answer<T>> {
  const answer = (await response?.json().catch(none)) as Answer<T> | undefined
  const refused = answer && refusal(answer)
  if (answer && !refused && response!.ok) return answer
  throw refused ?? new Refused(response && !response.ok && response.status < 500 ? 'BAD_REQUEST' : 'UNAVAILABLE')
}
