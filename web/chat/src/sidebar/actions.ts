// What can be done to a conversation from the list.
import { useState } from 'react';
import type { CombinedError, OperationResult } from 'urql';
import { client } from '../api/client.ts';
import { ChangeRowDocument, DeleteRowDocument, NameRowDocument } from '../api/generated/documents.ts';
import { go } from '../app/route.ts';
import { useTexts } from '../texts/index.ts';
import { toast } from '../ui/toast.tsx';
import { drop, put } from './live.ts';
import type { Row } from './talks.ts';

export function codeOf(error: CombinedError): string {
  return `${error.graphQLErrors[0]?.extensions.code ?? 'UNAVAILABLE'}`;
}

type Change = Partial<Pick<Row, 'name' | 'pinned' | 'archivedAt'>>;

export function useRowActions(row: Row, isCurrent: boolean) {
  const texts = useTexts().sidebar;
  const [isBusy, setBusy] = useState(false);

  /** Shows what is asked for at once, and takes it back when the server refuses it. */
  async function change(
    input: { name?: string; pinned?: boolean; archived?: boolean },
    shown: Change,
  ): Promise<boolean> {
    put({ ...row, ...shown });
    const { data, error } = await client
      .mutation(ChangeRowDocument, { input: { conversationId: row.id, ...input } })
      .toPromise();
    put(data?.updateConversation.conversation ?? row);
    if (error) toast(texts.notDone(codeOf(error)));
    return !error;
  }

  async function busily<T>(work: Promise<OperationResult<T>>): Promise<T | null> {
    setBusy(true);
    const { data, error } = await work;
    setBusy(false);
    if (error) toast(texts.notDone(codeOf(error)));
    return data ?? null;
  }

  return {
    isBusy,
    rename: (name: string) => void change({ name }, { name }),
    pin: () => void change({ pinned: !row.pinned }, { pinned: !row.pinned }),
    async archive() {
      if (!(await change({ archived: true }, { archivedAt: new Date().toISOString() }))) return;
      toast(texts.archived, {
        action: { label: texts.undo, run: () => void change({ archived: false }, { archivedAt: null }) },
      });
    },
    unarchive: () => void change({ archived: false }, { archivedAt: null }),
    async regenerate() {
      const named = await busily(client.mutation(NameRowDocument, { input: { conversationId: row.id } }).toPromise());
      if (named) put(named.regenerateName.conversation);
    },
    async remove() {
      const input = { conversationId: row.id };
      if (!(await busily(client.mutation(DeleteRowDocument, { input }).toPromise()))) return false;
      if (isCurrent) go('/', { replace: true });
      drop(row.id);
      toast(texts.removed);
      return true;
    },
  };
}
