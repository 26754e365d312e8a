// The recorder of "Under the hood": nothing secret gets in, and it does not grow.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { withSources } from './source.mjs';

let newRecorder, asCurl, recorded;

withSources(async (load) => {
  ({ newRecorder, asCurl } = await load('hood/recorder.ts'));
  ({ recorded } = await load('hood/recorded.ts'));
});

test('no password and no token is kept', () => {
  const recorder = newRecorder();
  const id = recorder.record('mutation', {
    name: 'SignIn',
    document: 'mutation SignIn($input: SignInInput!) { signIn(input: $input) { accessToken } }',
    variables: { input: { email: 'ada@example.com', password: 'hush-1' } },
  });
  recorder.answered(id, {
    answer: { signIn: { accessToken: 'hush-2', refreshToken: 'hush-3', user: { email: 'a' } } },
  });
  recorder.record('mutation', {
    name: 'X',
    document: 'mutation { x(input: {password: "hush-4", refreshToken: "hush-5"}) }',
  });
  recorder.record('query', { name: 'Y', variables: { headers: { Authorization: 'Bearer hush-6' } } });
  recorder.record('event', { name: 'Z', answer: { note: 'it said Bearer hush-7', jwt: 'eyJhbGciOi.hush-8.hush-9' } });
  const kept = JSON.stringify(recorder.getSnapshot());
  assert.doesNotMatch(kept, /hush-\d|ada@example/);
  assert.match(kept, /"email"/);
});

test('it lets the oldest go, by count and by size', () => {
  const few = newRecorder({ count: 3, size: 1e6 });
  for (let i = 0; i < 10; i++) few.record('event', { name: `e${i}` });
  assert.deepEqual(
    few.getSnapshot().map(({ name }) => name),
    ['e7', 'e8', 'e9'],
  );
  const small = newRecorder({ count: 100, size: 5000 });
  for (let i = 0; i < 10; i++) small.record('event', { name: `e${i}`, answer: 'x'.repeat(2000) });
  assert.equal(small.getSnapshot().length, 2);
  small.answered(1, { answer: 'late' });
  assert.equal(small.getSnapshot().length, 2);
});

test('an answer gets the time that it took, and listeners hear of it', () => {
  let now = 1000;
  const recorder = newRecorder(undefined, () => now);
  let heard = 0;
  const stop = recorder.subscribe(() => heard++);
  const id = recorder.record('query', { name: 'Q' });
  const before = recorder.getSnapshot();
  assert.equal(recorder.getSnapshot(), before);
  now = 1042;
  recorder.answered(id, { code: 'BUSY' });
  assert.deepEqual([recorder.getSnapshot()[0].took, recorder.getSnapshot()[0].code, heard], [42, 'BUSY', 2]);
  assert.notEqual(recorder.getSnapshot(), before);
  stop();
  recorder.clear();
  assert.equal(heard, 2);
});

test('the command for a shell quotes, and has no token', () => {
  const recorder = newRecorder();
  recorder.record('query', { name: 'Q', document: 'query Q { a }', variables: { text: "it's; rm" } });
  const curl = asCurl(recorder.getSnapshot()[0], 'https://chat.example');
  assert.match(curl, /it'\\''s; rm/);
  assert.match(curl, /Bearer \$PARLEY_TOKEN/);
});

test('what is not waited for any longer is cancelled, and what fails otherwise is not', async () => {
  const recorder = newRecorder();
  const fails = { run: async (_, __, { signal } = {}) => Promise.reject(signal?.reason ?? new Error('no answer')) };
  const session = recorded(fails, recorder);
  await assert.rejects(session.run('query Left { a }', {}, { signal: AbortSignal.abort() }), { name: 'AbortError' });
  await assert.rejects(session.run('query Lost { a }'), /no answer/);
  assert.deepEqual(
    recorder.getSnapshot().map(({ name, code }) => [name, code]),
    [
      ['Left', 'cancelled'],
      ['Lost', 'INTERNAL'],
    ],
  );
});
