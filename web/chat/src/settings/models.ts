// The models that this user may have.
import { useQuery } from 'urql';
import { ModelsDocument } from '../api/generated/documents.ts';
import type { ModelsQuery } from '../api/generated/documents.ts';

export type Model = ModelsQuery['models'][number];

export interface Models {
  models: readonly Model[];
  failed: boolean;
}

const none: readonly Model[] = [];

export function useModels(): Models {
  const [{ data, error }] = useQuery({ query: ModelsDocument });
  return { models: data?.models ?? none, failed: error !== undefined };
}

/** found returns those models in whose name or description every word stands. */
export function found(models: readonly Model[], sought: string): readonly Model[] {
  const words = sought.toLowerCase().split(/\s+/).filter(Boolean);
  return models.filter(({ name, description }) => {
    const text = `${name} ${description ?? ''}`.toLowerCase();
    return words.every((word) => text.includes(word));
  });
}
