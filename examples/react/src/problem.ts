// What has gone wrong, for people and for the program.
import { CombinedGraphQLErrors } from '@apollo/client'

export interface Problem {
  code: string
  message: string
  /** Problems of single fields of a form. */
  fields: Record<string, string>
  /** In how many seconds it may help to try again. */
  retryAfter?: number
}

/** Codes after which the same may succeed by itself. */
const passing = ['UNREACHABLE', 'UNAVAILABLE', 'OVERLOADED', 'RATE_LIMITED']

export const isPassing = ({ code }: Problem) => passing.includes(code)

/** In how many seconds a send is tried again by itself. (A used-up quota says tomorrow: that is for the user to do.) */
export const delayOf = (problem: Problem) => (isPassing(problem) ? problem.retryAfter : undefined)

export function problemOf(error: unknown): Problem {
  if (!CombinedGraphQLErrors.is(error)) {
    return { code: 'UNREACHABLE', message: 'The server cannot be reached.', fields: {} }
  }
  const { message, extensions } = error.errors[0]!
  return { code: 'INTERNAL', fields: {}, ...extensions, message }
}
