/** What the server has refused. The codes are in docs/protocol.md. UNAVAILABLE is also what is thrown when there is no
 * answer: then it is not known whether the request has arrived. */
export class Refused extends Error {
  override name = 'Refused'

  constructor(
    readonly code: string,
    message: string,
    /** The error's other extensions: retryAfter, fields, headId, … */
    readonly extensions: Record<string, unknown> = {},
  ) {
    super(message)
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

/** Also for what somebody has asked for who is not there any more. */
export const nobody = () => new Refused('UNAUTHENTICATED', 'Sign in first.')

export const codeOf = (error: unknown) => (error instanceof Refused ? error.code : '')

/** The body of a JSON answer. A proxy before a server that restarts answers with a page of its own. */
export async function answerOf<T>(response: Response): Promise<Answer<T>> {
  const answer = (await response.json().catch(() => null)) as Answer<T> | null
  if (answer?.errors || response.ok) return answer ?? Promise.reject(away())
  const { status } = response
  throw status < 500 ? new Refused('BAD_REQUEST', `The answer has the status ${status}.`) : away()
}
