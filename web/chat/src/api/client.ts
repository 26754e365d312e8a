// urql on the session: its queries and mutations go out by session.run, its subscriptions by session.subscribe, so that
// there is one socket, one renewal of tokens and one place that a record is made of. Texts that grow do not come here:
// see live/.
import { Refused } from '@parley/client';
import { Client, CombinedError, makeErrorResult, makeResult, stringifyDocument } from '@urql/core';
import type { Exchange, Operation, OperationResult } from '@urql/core';
import { filter, make, merge, mergeMap, pipe, takeUntil } from 'wonka';
import { cache } from './cache.ts';
import { session } from './session.ts';

/** through runs one operation on the session. */
async function through(operation: Operation, signal: AbortSignal, next: (result: OperationResult) => void) {
  const document = stringifyDocument(operation.query);
  try {
    if (operation.kind !== 'subscription') {
      next(makeResult(operation, { data: await session.run<object>(document, operation.variables ?? {}, { signal }) }));
      return;
    }
    for await (const data of session.subscribe<object>(document, operation.variables ?? {}, { signal })) {
      next(makeResult(operation, { data }));
    }
  } catch (error) {
    if (signal.aborted) return;
    const wrapped =
      error instanceof Refused
        ? new CombinedError({
            graphQLErrors: [{ message: error.message, extensions: { ...error.extensions, code: error.code } }],
          })
        : (error as Error);
    next(makeErrorResult(operation, wrapped));
  }
}

const onSession: Exchange = () => (operations$) => {
  const results$ = pipe(
    operations$,
    filter(({ kind }) => kind !== 'teardown'),
    mergeMap((operation) =>
      pipe(
        make<OperationResult>(({ next, complete }) => {
          const abort = new AbortController();
          void through(operation, abort.signal, next).finally(complete);
          return () => abort.abort();
        }),
        takeUntil(
          pipe(
            operations$,
            filter(({ kind, key }) => kind === 'teardown' && key === operation.key),
          ),
        ),
      ),
    ),
  );
  return merge([results$]);
};

export const client = new Client({ url: session.url, exchanges: [cache, onSession], preferGetMethod: false });
