// A session whose operations and events are kept for the drawer "Under the hood": of all parts of the page, because
// there is one session.
import { Refused } from '@parley/client';
import type { RunOptions, Session, SubscribeOptions } from '@parley/client';
import { cancelled } from './recorder.ts';
import type { Kind, Recorder } from './recorder.ts';

const codeOf = (error: unknown, signal?: AbortSignal) =>
  error instanceof Refused ? error.code : signal?.aborted ? cancelled : 'INTERNAL';

/** What an operation is called: its own name, or its first field where it has none. */
export function named(document: string): { kind: Kind; name: string } {
  const [, kind = 'query', own] = /^\s*(query|mutation|subscription)?\s*(\w+)?/.exec(document) ?? [];
  const field = /\{\s*(?:\w+\s*:\s*)?(\w+)/.exec(document)?.[1];
  return { kind: kind as Kind, name: own ?? field ?? '' };
}

function typeOf(event: unknown): string {
  const [first] = Object.values((event ?? {}) as Record<string, { __typename?: string } | null>);
  return first?.__typename ?? 'event';
}

/** recorded tells the recorder of all that goes over the session, and changes nothing of it. */
export function recorded(session: Session, recorder: Recorder): Session {
  const through: Pick<Session, 'run' | 'subscribe'> = {
    async run<T, V>(document: string, variables?: V, options?: RunOptions) {
      const id = recorder.record(named(document).kind, { name: named(document).name, document, variables });
      try {
        const answer = await session.run<T, V>(document, variables, options);
        recorder.answered(id, { answer });
        return answer;
      } catch (error) {
        recorder.answered(id, { code: codeOf(error, options?.signal) });
        throw error;
      }
    },
    async *subscribe<T, V>(document: string, variables?: V | (() => V), options?: SubscribeOptions) {
      const given = typeof variables === 'function' ? (variables as () => V)() : variables;
      const id = recorder.record('subscription', { name: named(document).name, document, variables: given });
      try {
        for await (const event of session.subscribe<T, V>(document, variables, options)) {
          recorder.record('event', { name: typeOf(event), answer: event });
          yield event;
        }
        recorder.answered(id, {});
      } catch (error) {
        recorder.answered(id, { code: codeOf(error, options?.signal) });
        throw error;
      }
    },
  };
  return Object.create(session, Object.getOwnPropertyDescriptors(through)) as Session;
}
