// What was chosen for a talk that does not exist yet.
import type { ContextSettingsInput, ParametersInput } from '../api/generated/documents.ts';

export interface Choices {
  name?: string | null;
  model?: string | null;
  systemPrompt?: string | null;
  parameters?: ParametersInput | null;
  context?: ContextSettingsInput | null;
}

/** needsConversation tells whether the talk has to be made before its first message, which carries a model alone. */
export function needsConversation({ name, systemPrompt, parameters, context }: Choices): boolean {
  return Boolean(name || systemPrompt || context || (parameters && Object.keys(parameters).length > 0));
}
