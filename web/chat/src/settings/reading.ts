// What the model reads of a talk: how full its context is, and what the last reply did and did not see.
import { useEffect, useRef } from 'react';
import { useQuery } from 'urql';
import { ContextUseOfDocument } from '../api/generated/documents.ts';
import type { ContextUseOfQuery } from '../api/generated/documents.ts';

type Talk = NonNullable<ContextUseOfQuery['conversation']>;
type Seen = NonNullable<Talk['messages']['nodes'][number]['context']>;

export type Summary = NonNullable<Seen['summary']>;

export interface Reading {
  use: Talk['contextUse'] | null;
  /** What the last reply that has ended was made from; null when there is none. */
  seen: Seen | null;
  summary: Summary | null;
}

/** useReading asks again whenever version changes: it does with each reply that ends. */
export function useReading(id: string, version: string): Reading {
  const [{ data }, ask] = useQuery({
    query: ContextUseOfDocument,
    variables: { id },
    requestPolicy: 'cache-and-network',
  });
  const first = useRef(version);
  useEffect(() => {
    if (version !== first.current) ask({ requestPolicy: 'network-only' });
    first.current = version;
  }, [ask, version]);
  const talk = data?.conversation;
  const seen = talk?.messages.nodes.findLast(({ context }) => context !== null)?.context ?? null;
  return { use: talk?.contextUse ?? null, seen, summary: seen?.summary ?? null };
}
