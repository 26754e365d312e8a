// How the connection does, for whoever shows it.
import type { Line } from '@parley/client';
import { useSyncExternalStore } from 'react';
import { session } from '../api/session.ts';

const subscribe = (listener: () => void) => session.onChange(listener);

export function useLine(): Line {
  return useSyncExternalStore(subscribe, () => session.line);
}

export function useSignedIn(): boolean {
  return useSyncExternalStore(subscribe, () => session.signedIn);
}
