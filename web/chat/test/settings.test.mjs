// The settings as a form reads and writes them, and how a model is found.
import assert from 'node:assert/strict';
import test from 'node:test';
import { parts } from './composer/parts.mjs';

const { changesOf, formOf, formOfChoices, needsConversation, problemsOf, readForm } = parts;

const empty = formOf({}, true);
const problems = (more) => readForm({ ...empty, ...more }).problems;

test('what is empty is not sent', () => {
  assert.deepEqual(readForm(empty), { parameters: null, context: null, problems: {} });
  assert.deepEqual(readForm({ ...empty, temperature: ' 0 ', maxTokens: '' }).parameters, { temperature: 0 });
});

test('settings come back as they were', () => {
  const settings = {
    name: 'A',
    model: 'm',
    systemPrompt: 's',
    parameters: {
      temperature: 0.5,
      topP: 1,
      maxTokens: 7,
      seed: -3,
      presencePenalty: -2,
      frequencyPenalty: 0.1,
      stop: ['a\nb', 'c\\nd', ' e'],
      reasoningEffort: 'LOW',
      verbosity: 'HIGH',
      responseFormat: { type: 'JSON_SCHEMA', name: 'n', schema: '{}', strict: true },
    },
    contextSettings: { policy: 'LAST_N', turns: 3, limitTokens: 512 },
  };
  const { parameters, context, problems } = readForm(formOf(settings, true));
  assert.deepEqual(problems, {});
  assert.deepEqual(parameters, settings.parameters);
  assert.deepEqual(context, settings.contextSettings);
  assert.equal(formOf(settings, false).name, '', 'a name that nobody chose is no setting');
  const { contextSettings, ...rest } = settings;
  assert.deepEqual(formOfChoices({ ...rest, context: contextSettings }), formOf(settings, true));
});

test('each number has its range, and what is wrong stands at its field', () => {
  const range = (from, to) => ({ kind: 'range', from, to });
  assert.deepEqual(
    problems({ temperature: '2.1', topP: '-0.1', maxTokens: '0', presencePenalty: '3', frequencyPenalty: '-3' }),
    {
      temperature: range(0, 2),
      topP: range(0, 1),
      maxTokens: range(1, 1_048_576),
      presencePenalty: range(-2, 2),
      frequencyPenalty: range(-2, 2),
    },
  );
  assert.deepEqual(problems({ temperature: 'warm', seed: '1.5', maxTokens: 'Infinity' }), {
    temperature: { kind: 'number' },
    seed: { kind: 'whole' },
    maxTokens: { kind: 'number' },
  });
  assert.deepEqual(problems({ stop: 'a\nb\nc\nd\ne' }), { stop: { kind: 'stops' } });
  assert.deepEqual(problems({ responseFormat: 'JSON_SCHEMA' }), {
    schemaName: { kind: 'empty' },
    schema: { kind: 'empty' },
  });
  assert.deepEqual(problems({ policy: 'LAST_N', limitTokens: '3' }), {
    turns: { kind: 'empty' },
    limitTokens: range(256, 2 ** 31 - 1),
  });
  assert.deepEqual(
    problems({ policy: 'FULL', turns: 'x', limitTokens: 'x' }),
    {},
    'what does not belong to the policy is not read',
  );
  assert.equal(
    readForm({ ...empty, temperature: '0,7' }).parameters.temperature,
    0.7,
    'a comma, as many languages write it',
  );
});

test('only what has changed goes out', () => {
  const before = formOf({ name: 'A', model: 'm', systemPrompt: 's', parameters: { temperature: 1 } }, true);
  assert.deepEqual(changesOf(before, { ...before }), {});
  assert.deepEqual(changesOf(before, { ...before, temperature: '1.0' }), {}, 'the same number, written otherwise');
  assert.deepEqual(changesOf(before, { ...before, name: ' ', model: null, systemPrompt: '', temperature: '' }), {
    name: null,
    model: null,
    systemPrompt: null,
    parameters: null,
  });
  assert.deepEqual(changesOf(before, { ...before, policy: 'TRUNCATE' }), { context: { policy: 'TRUNCATE' } });
});

test('what the server finds wrong is put at its field, or told', () => {
  const said = (phrase) => ({ kind: 'said', phrase });
  assert.deepEqual(
    problemsOf({
      name: 'a',
      'parameters.maxTokens': 'b',
      'context.limitTokens': 'c',
      'parameters.responseFormat.schema': 'd',
      context: 'e',
      'parameters.stop': 'f',
      ofLater: 'g',
    }),
    {
      problems: {
        name: said('a'),
        maxTokens: said('b'),
        limitTokens: said('c'),
        schema: said('d'),
        policy: said('e'),
        stop: said('f'),
      },
      rest: ['ofLater g'],
    },
  );
});

test('a talk is made first where a message cannot carry what was chosen', () => {
  assert.equal(needsConversation({}), false);
  assert.equal(needsConversation({ model: 'm', parameters: {}, name: '', systemPrompt: null }), false);
  for (const choices of [
    { name: 'n' },
    { systemPrompt: 's' },
    { parameters: { temperature: 0 } },
    { context: { policy: 'FULL' } },
  ]) {
    assert.equal(needsConversation(choices), true, JSON.stringify(choices));
  }
});
