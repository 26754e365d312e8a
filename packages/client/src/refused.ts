/** What the server has refused. The codes are in docs/protocol.md. UNAVAILABLE is also what is thrown when there is no
 * answer: then it is not known whether the request has arrived. */
export class Refused extends Error {
  declare readonly code: string
  /** The error's other extensions: retryAfter, fields, headId, … */
  declare readonly extensions: Record<string, unknown>

  constructor(code: string, message: string, extensions: Record<string, unknown> = {}) {
    super(message)
    Object.assign(this, { name: 'Refused', code, extensions })
  }
}

export interface Answer<T> {
  data?: T | null
  errors?: { message: string; extensions?: Record<string, unknown> }[]
}

export function refusal({ errors }: Answer<unknown>): Refused | undefined {
  const error = errors?.[0]
  return error && new Refused(`${error.extensions?.code ?? 'INTERNAL'}`, error.message, error.extensions)
}

/** The server cannot be reached, or something before it answers in its place. */
export const away = () => new Refused('UNAVAILABLE', 'The server cannot be reached.')

/** There is no session, or none any more. */
export const signedOut = () => new Refused('UNAUTHENTICATED', 'Nobody is signed in.')

export const codeOf = (error: unknown) => (error instanceof Refused ? error.code : '')

export const isOver = (error: unknown) => codeOf(error) === 'UNAUTHENTICATED'

/** For catch: nothing, when the session is over. */
export function unlessOver(error: unknown): undefined {
  if (!isOver(error)) throw error
}

/** The body of a JSON answer, or what it refuses. A proxy before a server that restarts answers with a page of its
 * own. */
export async function answerOf<T>(response: Response): Promise<Answer<T>> {
  const answer = (await response.json().catch(() => null)) as Answer<T> | null
  const refused = answer && refusal(answer)
  if (answer && !refused && response.ok) return answer
  const { ok, status } = response
  throw refused ?? (ok || status > 499 ? away() : new Refused('BAD_REQUEST', `The answer has the status ${status}.`))
}
