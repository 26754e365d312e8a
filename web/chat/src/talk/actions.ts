// What can be done with a message. Each refusal has a text of ours, and a way on where there is one.
import { useMemo } from 'react';
import { useClient } from 'urql';
import type { AnyVariables, Client, CombinedError, TypedDocumentNode } from 'urql';
import {
  ContinueReplyDocument,
  CorrectMessageDocument,
  DeleteMessageDocument,
  ForkTalkDocument,
  RegenerateDocument,
  SelectVersionDocument,
  VersionsDocument,
} from '../api/generated/documents.ts';
import { go, pathOf } from '../app/route.ts';
import { useTexts } from '../texts/index.ts';
import type { Texts } from '../texts/index.ts';
import { toast } from '../ui/toast.tsx';
import type { TalkMessage } from './list.ts';
import type { OpenTalk } from './open.ts';

export interface Actions {
  again(message: TalkMessage, model?: string): Promise<boolean>;
  goOn(message: TalkMessage): Promise<boolean>;
  correct(message: TalkMessage, content: string): Promise<boolean>;
  remove(message: TalkMessage): Promise<boolean>;
  fork(message: TalkMessage): Promise<boolean>;
  /** Shows the version before or behind this one. */
  turn(message: TalkMessage, by: -1 | 1): Promise<boolean>;
}

type OnBusy = 'REJECT' | 'INTERRUPT';

/** onAsked is called when a new reply begins: who asked wants to see it. It stays the same function. */
export function useActions(talk: OpenTalk, onAsked: () => void): Actions {
  const client = useClient();
  const texts = useTexts().talk;
  return useMemo(() => actionsOf(client, talk, texts, onAsked), [client, talk, texts, onAsked]);
}

function actionsOf(client: Client, talk: OpenTalk, texts: Texts['talk'], onAsked: () => void): Actions {
  /** Runs it; false when it was refused, which has been said then. */
  const run = async <D, V extends AnyVariables>(
    document: TypedDocumentNode<D, V>,
    variables: V,
    anyway?: () => void,
  ) => {
    const { data, error } = await client.mutation(document, variables);
    if (!error && data) return data;
    const code = codeOf(error);
    if (code === 'STALE_HEAD') talk.fetch(null);
    const action = code === 'CONVERSATION_BUSY' && anyway ? { label: texts.interrupt, run: anyway } : undefined;
    toast(texts.refused[code] ?? texts.refusedOther, action ? { action } : {});
    return null;
  };
  /** The head that is shown guards against a page that is behind; one that is told to go on all the same has none. */
  const guard = () => talk.get().line?.head.headId;

  const again = async (
    message: TalkMessage,
    model?: string,
    onBusy: OnBusy = 'REJECT',
    key = newKey(),
  ): Promise<boolean> => {
    const input = {
      messageId: message.id,
      clientKey: key,
      expectedHeadId: onBusy === 'REJECT' ? guard() : undefined,
      onBusy,
      model,
    };
    const data = await run(RegenerateDocument, { input }, () => void again(message, model, 'INTERRUPT', newKey()));
    if (data) onAsked();
    return data !== null;
  };

  return {
    again,
    async goOn(message) {
      const input = { messageId: message.id, clientKey: newKey(), expectedHeadId: guard() };
      const data = await run(ContinueReplyDocument, { input });
      if (data) onAsked();
      return data !== null;
    },
    async correct(message, content) {
      const undo = talk.patch(message.id, { content });
      const data = await run(CorrectMessageDocument, { input: { messageId: message.id, content } });
      if (data) talk.changed(data.updateMessage.message);
      else undo();
      return data !== null;
    },
    async remove(message) {
      const { data, error } = await client.mutation(DeleteMessageDocument, { input: { messageId: message.id } });
      // A repeat finds nothing: it is done.
      if (error && codeOf(error) !== 'NOT_FOUND') {
        toast(texts.refused[codeOf(error)] ?? texts.refusedOther);
        return false;
      }
      talk.fetch(data?.deleteMessage.fromIndex ?? null);
      return true;
    },
    async fork(message) {
      const data = await run(ForkTalkDocument, { input: { messageId: message.id, clientKey: newKey() } });
      if (data) go(pathOf(data.forkConversation.conversation.id));
      return data !== null;
    },
    async turn(message, by) {
      const { data } = await client.query(VersionsDocument, { id: message.id }, { requestPolicy: 'network-only' });
      const versions = data?.node?.__typename === 'Message' ? data.node.siblings.nodes : [];
      const next = versions[versions.findIndex(({ id }) => id === message.id) + by];
      if (!next) return false;
      const chosen = await run(SelectVersionDocument, { input: { messageId: next.id, expectedHeadId: guard() } });
      if (chosen) talk.fetch(chosen.selectBranch.fromIndex);
      return chosen !== null;
    },
  };
}

export function codeOf(error: CombinedError | undefined): string {
  const code = error?.graphQLErrors[0]?.extensions.code;
  return typeof code === 'string' ? code : error?.networkError ? 'UNAVAILABLE' : '';
}

/** crypto.randomUUID is for pages with https alone. */
function newKey(): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, '0')).join('');
}
