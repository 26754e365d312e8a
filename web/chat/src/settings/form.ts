// The settings of a talk as a form holds them: texts, empty where nothing is set. Read back with care, and as what has
// changed only, so that two devices that change different things do not undo each other.
import type {
  ContextSettingsInput,
  ParametersInput,
  ResponseFormatInput,
  TalkSettingsFragment,
} from '../api/generated/documents.ts';
import type { Choices } from './choices.ts';

export interface Form {
  name: string;
  model: string | null;
  systemPrompt: string;
  temperature: string;
  topP: string;
  maxTokens: string;
  seed: string;
  presencePenalty: string;
  frequencyPenalty: string;
  stop: string;
  reasoningEffort: string;
  verbosity: string;
  responseFormat: string;
  schemaName: string;
  schema: string;
  strict: boolean;
  policy: string;
  turns: string;
  limitTokens: string;
}

export type FieldName = keyof Form;

/** What is wrong with a field: a kind of ours, or a phrase of the server. */
export type Problem =
  | { kind: 'number' | 'whole' | 'stops' | 'empty' }
  | { kind: 'range'; from: number; to: number }
  | { kind: 'said'; phrase: string };

export type Problems = Partial<Record<FieldName, Problem>>;

type Settings = Omit<TalkSettingsFragment, '__typename' | 'id' | 'nameSource'>;

/** formOf returns the form of what is set. A name that was not chosen is no setting: the field is empty then. */
export function formOf(settings: Partial<Settings>, isNameChosen: boolean): Form {
  const { parameters: set, contextSettings: context } = settings;
  const format = set?.responseFormat;
  return {
    name: isNameChosen ? (settings.name ?? '') : '',
    model: settings.model ?? null,
    systemPrompt: settings.systemPrompt ?? '',
    temperature: text(set?.temperature),
    topP: text(set?.topP),
    maxTokens: text(set?.maxTokens),
    seed: text(set?.seed),
    presencePenalty: text(set?.presencePenalty),
    frequencyPenalty: text(set?.frequencyPenalty),
    stop: (set?.stop ?? []).map((one) => one.replaceAll('\\', '\\\\').replaceAll('\n', '\\n')).join('\n'),
    reasoningEffort: set?.reasoningEffort ?? '',
    verbosity: set?.verbosity ?? '',
    responseFormat: format?.type ?? '',
    schemaName: format?.name ?? '',
    schema: format?.schema ?? '',
    strict: format?.strict ?? false,
    policy: context?.policy ?? '',
    turns: text(context?.turns),
    limitTokens: text(context?.limitTokens),
  };
}

/** formOfChoices is formOf for a talk that does not exist yet. */
export function formOfChoices({ context, parameters, ...rest }: Choices): Form {
  return formOf({ ...rest, parameters, contextSettings: context } as Partial<Settings>, true);
}

function text(value: number | null | undefined): string {
  return value === null || value === undefined ? '' : String(value);
}

const ranges: [FieldName & keyof ParametersInput, number, number, boolean][] = [
  ['temperature', 0, 2, false],
  ['topP', 0, 1, false],
  ['maxTokens', 1, 1_048_576, true],
  ['seed', -(2 ** 31), 2 ** 31 - 1, true],
  ['presencePenalty', -2, 2, false],
  ['frequencyPenalty', -2, 2, false],
];

export interface Read {
  parameters: ParametersInput | null;
  context: ContextSettingsInput | null;
  problems: Problems;
}

/** readForm returns what a form says, and what is wrong with it. */
export function readForm(form: Form): Read {
  const problems: Problems = {};
  const number = (name: FieldName, from: number, to: number, isWhole: boolean): number | undefined => {
    const typed = String(form[name])
      .trim()
      .replace(/^([-+]?\d*),(\d+)$/, '$1.$2');
    if (typed === '') return undefined;
    const value = Number(typed);
    if (!Number.isFinite(value)) problems[name] = { kind: 'number' };
    else if (isWhole && !Number.isInteger(value)) problems[name] = { kind: 'whole' };
    else if (value < from || value > to) problems[name] = { kind: 'range', from, to };
    return value;
  };
  const parameters: Record<string, unknown> = {};
  for (const [name, from, to, isWhole] of ranges) parameters[name] = number(name, from, to, isWhole);
  parameters.stop = readStops(form, problems);
  parameters.reasoningEffort = form.reasoningEffort || undefined;
  parameters.verbosity = form.verbosity || undefined;
  parameters.responseFormat = readFormat(form, problems);
  const set = Object.entries(parameters).filter(([, value]) => value !== undefined);
  return {
    parameters: set.length > 0 ? (Object.fromEntries(set) as ParametersInput) : null,
    context: readContext(form, number, problems),
    problems,
  };
}

/** One a line; a line break within is written \n, and a backslash \\. */
function readStops({ stop }: Form, problems: Problems): string[] | undefined {
  const stops = stop.split('\n').filter((line) => line !== '');
  if (stops.length > 4) problems.stop = { kind: 'stops' };
  const plain = stops.map((line) => line.replace(/\\(n|\\)/g, (_, sign) => (sign === 'n' ? '\n' : '\\')));
  return plain.length > 0 ? plain : undefined;
}

function readFormat(form: Form, problems: Problems): ResponseFormatInput | undefined {
  if (form.responseFormat === '') return undefined;
  const type = form.responseFormat as ResponseFormatInput['type'];
  if (type !== 'JSON_SCHEMA') return { type };
  if (form.schemaName.trim() === '') problems.schemaName = { kind: 'empty' };
  if (form.schema.trim() === '') problems.schema = { kind: 'empty' };
  return { type, name: form.schemaName.trim(), schema: form.schema, strict: form.strict };
}

type ReadNumber = (name: FieldName, from: number, to: number, isWhole: boolean) => number | undefined;

function readContext(form: Form, number: ReadNumber, problems: Problems): ContextSettingsInput | null {
  if (form.policy === '') return null;
  const policy = form.policy as ContextSettingsInput['policy'];
  const context: ContextSettingsInput = { policy };
  if (policy === 'LAST_N') {
    const turns = number('turns', 1, 1000, true);
    if (turns === undefined) problems.turns = { kind: 'empty' };
    context.turns = turns ?? null;
  }
  const limitTokens = policy === 'FULL' ? undefined : number('limitTokens', 256, 2 ** 31 - 1, true);
  if (limitTokens !== undefined) context.limitTokens = limitTokens;
  return context;
}

/** changesOf returns what a form changes, as the fields of updateConversation. */
export function changesOf(before: Form, after: Form): Choices {
  const [was, is] = [readForm(before), readForm(after)];
  const changes: Choices = {};
  if (before.name !== after.name) changes.name = after.name.trim() || null;
  if (before.model !== after.model) changes.model = after.model;
  if (before.systemPrompt !== after.systemPrompt) changes.systemPrompt = after.systemPrompt || null;
  if (!same(was.parameters, is.parameters)) changes.parameters = is.parameters;
  if (!same(was.context, is.context)) changes.context = is.context;
  return changes;
}

function same(a: unknown, b: unknown): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}

const otherNames: Record<string, FieldName> = {
  'parameters.responseFormat.name': 'schemaName',
  'parameters.responseFormat.schema': 'schema',
  'parameters.responseFormat': 'responseFormat',
  context: 'policy',
};

/** problemsOf puts the problems that the server has found at their fields, and returns those that have none. */
export function problemsOf(fields: Record<string, string>): { problems: Problems; rest: string[] } {
  const problems: Problems = {};
  const rest: string[] = [];
  const empty = formOf({}, true);
  for (const [path, phrase] of Object.entries(fields)) {
    const full = path.replace(/^input\./, '');
    const name = otherNames[full] ?? full.replace(/^(parameters|context)\./, '').replace(/\[\d+\]$|\.\d+$/, '');
    if (name in empty) problems[name as FieldName] = { kind: 'said', phrase };
    else rest.push(`${path} ${phrase}`);
  }
  return { problems, rest };
}
