// The lists of the page, and the one subscription that keeps them as they are on all devices.
import { useSyncExternalStore } from 'react';
import { pipe, subscribe as listen } from 'wonka';
import { client } from '../api/client.ts';
import { ConversationsDocument, ViewerEventsDocument } from '../api/generated/documents.ts';
import { session } from '../api/session.ts';
import { Talks } from './talks.ts';
import type { Row, Source, View } from './talks.ts';

const source: Source = {
  async page(variables) {
    const { data, error } = await client
      .query(ConversationsDocument, variables, { requestPolicy: 'network-only' })
      .toPromise();
    if (!data) throw error ?? new Error('no data');
    const { edges, pageInfo } = data.conversations;
    return { rows: edges.map(({ node }) => node), endCursor: pageInfo.endCursor, hasMore: pageInfo.hasNextPage };
  },
};

export const talks = new Talks(source, false);
export const archive = new Talks(source, true);
/** Whether the archive has been looked at, and has to be kept up. */
let isArchiveOpen = false;

export function openArchive() {
  isArchiveOpen = true;
  void archive.refresh();
}

export function put(row: Row) {
  talks.put(row);
  archive.put(row);
}

export function drop(id: string) {
  talks.remove(id);
  archive.remove(id);
}

/** follow keeps the lists up for as long as somebody is signed in. Returns how to end it. */
export function follow(): () => void {
  const { unsubscribe } = pipe(
    client.subscription(ViewerEventsDocument, {}),
    listen(({ data, error }) => {
      // Somebody else has signed in in another tab: nothing of the one before may stay.
      if (error?.graphQLErrors.some(({ extensions }) => extensions.code === 'UNAUTHENTICATED') && session.signedIn) {
        location.reload();
      }
      const event = data?.viewerEvents;
      switch (event?.__typename) {
        case 'ViewerReady':
          void talks.refresh();
          if (isArchiveOpen) void archive.refresh();
          break;
        case 'ConversationCreated':
        case 'ConversationUpdated':
          put(event.conversation);
          break;
        case 'ConversationDeleted':
          drop(event.conversationId);
      }
    }),
  );
  return unsubscribe;
}

export function useTalks(list: Talks): View {
  return useSyncExternalStore(list.subscribe, () => list.view);
}

/** useRow returns a conversation as the list has it, or null. */
export function useRow(id: string | null): Row | null {
  const find = () => (id === null ? null : (talks.get(id) ?? archive.get(id)));
  return useSyncExternalStore(talks.subscribe, find);
}
