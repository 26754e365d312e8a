// The model of a talk, and everything else that is chosen for one that does not exist yet.
import { useCallback, useState } from 'react';
import { useMutation, useQuery } from 'urql';
import { SaveTalkSettingsDocument, TalkModelDocument } from '../api/generated/documents.ts';
import type { Choices } from './choices.ts';

export interface TalkModel {
  model: string | null;
  setModel: (model: string | null) => void;
  choices: Choices;
  choose: (choices: Choices) => void;
}

const nothing: Choices = {};

/** useTalkModel returns what is chosen for a talk; null is one that its first message makes. */
export function useTalkModel(id: string | null): TalkModel {
  const [{ data }] = useQuery({ query: TalkModelDocument, variables: { id: id ?? '' }, pause: id === null });
  const [, save] = useMutation(SaveTalkSettingsDocument);
  const [choices, choose] = useState(nothing);
  const setModel = useCallback(
    (model: string | null) => {
      if (id === null) choose((before) => ({ ...before, model }));
      else void save({ input: { conversationId: id, model } });
    },
    [id, save],
  );
  return {
    model: id === null ? (choices.model ?? null) : (data?.conversation?.model ?? null),
    setModel,
    choices,
    choose,
  };
}
