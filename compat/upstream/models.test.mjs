// Parley in front of mock-llm, an OpenAI-compatible server from npm.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createRequire } from 'node:module'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { createClient } from 'graphql-ws'
import WebSocket from 'ws'
import {
  brief,
  cleanEnvironment,
  data,
  freePort,
  Parley,
  readMessage,
  refused,
  send,
  sendDocument,
  signUp,
  until,
  Watch,
} from '../lib/parley.mjs'

const echo = '{{jmes request body.messages[-1].content}}'
const completion = (content) =>
  JSON.stringify({
    id: 'chatcmpl-1',
    object: 'chat.completion',
    created: 1,
    model: '{{jmes request body.model}}',
    choices: [{ index: 0, message: { role: 'assistant', content }, finish_reason: 'stop' }],
  })
const chat = (match, content, status = 200) => ({
  path: '/v1/chat/completions',
  method: 'POST',
  match,
  response: { status, content },
})
const says = (text) => `contains(body.messages[-1].content, '${text}')`
const models = (...ids) => ({
  path: '/v1/models',
  method: 'GET',
  response: {
    status: 200,
    content: JSON.stringify({ object: 'list', data: ids.map((id) => ({ id, object: 'model', owned_by: 'mock' })) }),
  },
})
const failure = (status, error) => chat(says(`error-${status}`), JSON.stringify({ error }), status)

// The last rule that matches wins. Errors of a stream come as its first event, with
// the status 200, as mock-llm does it.
const rules = [
  chat('@', completion(`You said: ${echo}`)),
  chat(says('which key'), completion("key={{jmes request headers.authorization || 'none'}}")),
  chat(says('which model'), completion('model={{jmes request body.model}}')),
  chat(says('party'), completion('🎉 Grüße, 世界! 👩‍👩‍👧 '.repeat(6))),
  failure(401, {
    message: 'Incorrect API key provided: sk-canary.',
    type: 'invalid_request_error',
    param: null,
    code: 'invalid_api_key',
  }),
  failure(429, { message: 'Slow down.', type: 'requests', param: null, code: 'rate_limit_exceeded' }),
  failure(400, {
    message: "This model's maximum context length is 10 tokens.",
    type: 'invalid_request_error',
    param: 'messages',
    code: 'context_length_exceeded',
  }),
]

let mock

// startMock starts mock-llm as its package's command does.
async function startMock() {
  const port = await freePort()
  const dir = mkdtempSync(join(tmpdir(), 'mock-llm-')) // Where there is no mock-llm.yaml.
  const main = createRequire(import.meta.url).resolve('@dwmkerr/mock-llm')
  const child = spawn(process.execPath, [main], {
    cwd: dir,
    env: cleanEnvironment({ PORT: String(port), HOST: '127.0.0.1' }),
    stdio: ['ignore', 'ignore', 'inherit'],
  })
  const ended = once(child, 'exit')
  const url = `http://127.0.0.1:${port}`
  await until('mock-llm is ready', 20_000, async () => (await fetch(`${url}/ready`).catch(() => null))?.ok)
  return {
    url,
    async configure(...ids) {
      const response = await fetch(`${url}/config`, {
        method: 'POST',
        headers: { 'Content-Type': 'application/json' },
        body: JSON.stringify({ streaming: { chunkSize: 5, chunkIntervalMs: 30 }, rules: [...rules, models(...ids)] }),
      })
      assert.equal(response.status, 200)
    },
    async stop() {
      child.kill()
      await ended
      rmSync(dir, { recursive: true, force: true })
    },
  }
}

before(async () => {
  mock = await startMock()
  await mock.configure('mock-small')
})

after(() => mock?.stop())

async function parleyBefore(t, settings = {}) {
  const parley = await Parley.start({ OPENAI_BASE_URL: `${mock.url}/v1`, ...settings })
  t.after(() => parley.close())
  return parley
}

test('a model server without a key', async (t) => {
  const { url } = await parleyBefore(t)
  const { token } = await signUp(url)

  await t.test('its models are listed, and the only one is the default', async () => {
    assert.deepEqual(await data(url, '{ models { name isDefault } }', {}, token), {
      models: [
        { name: 'mock-small', isDefault: true },
        { name: 'script', isDefault: false },
      ],
    })
  })

  await t.test('a streamed reply is what the model server sent', async (t) => {
    const client = createClient({
      url: `${url.replace('http', 'ws')}/graphql`,
      webSocketImpl: WebSocket,
      connectionParams: { Authorization: `Bearer ${token}` },
      shouldRetry: () => true,
    })
    t.after(() => client.dispose())
    const { reply } = await send(url, token, { content: 'party' })
    const watch = await new Watch(client, reply.id).done
    const stored = await readMessage(url, token, reply.id)
    // mock-llm cuts its text every 5 units, some of them in the middle of an emoji,
    // which nobody can repair; the rest must be exact.
    assert.equal(watch.partial, stored.content)
    assert.equal(stored.status, 'COMPLETED')
    assert.match(stored.content, /Grüße, 世界!/)
    assert.ok(watch.count('MessageDelta') > 3, `want deltas, got ${watch.types()}`)
    assert.equal(stored.usage.estimated, true, 'mock-llm does not count')
  })

  await t.test('no Authorization header is sent', async () => {
    const { reply } = await send(url, token, { content: 'which key', wait: true })
    assert.equal(reply.content, 'key=none')
  })

  await t.test('the history is sent', async () => {
    const first = await send(url, token, { content: 'one', wait: true })
    assert.equal(first.reply.content, 'You said: one')
    const second = await send(url, token, { conversationId: first.conversation.id, content: 'two', wait: true })
    assert.equal(second.reply.content, 'You said: two')
    assert.equal(second.reply.index, 4)
  })

  for (const [status, code, retryable] of [
    [401, 'UPSTREAM_UNAUTHORIZED', false],
    [429, 'UPSTREAM_RATE_LIMITED', true],
    [400, 'CONTEXT_TOO_LONG', false],
  ]) {
    await t.test(`an error ${status} is a FAILED reply with ${code}`, async () => {
      const { userMessage, reply } = await send(url, token, { content: `error-${status}`, wait: true })
      const stored = await readMessage(url, token, reply.id)
      assert.equal(stored.status, 'FAILED')
      assert.equal(stored.error.code, code)
      assert.equal(stored.error.retryable, retryable)
      assert.doesNotMatch(JSON.stringify(stored), /canary|Incorrect/, "nothing of the model server's words")
      assert.equal((await readMessage(url, token, userMessage.id)).status, 'COMPLETED')
    })
  }

  await t.test('an unknown model is refused', async () => {
    const error = await refused(url, sendDocument, { input: { content: 'Hi', model: 'gpt-nothing' } }, token)
    assert.equal(error.extensions.code, 'BAD_USER_INPUT')
    assert.ok(error.extensions.fields.model)
  })
})

test('a key is sent as a bearer token and never logged', async (t) => {
  const parley = await parleyBefore(t, { OPENAI_API_KEY: 'sk-test-4711', PARLEY_LOG_LEVEL: 'debug' })
  const { token } = await signUp(parley.url)
  const { reply } = await send(parley.url, token, { content: 'which key', wait: true })
  assert.equal(reply.content, 'key=Bearer sk-test-4711')
  await send(parley.url, token, { content: 'error-401', wait: true })
  assert.doesNotMatch(parley.log, /4711/)
  assert.match(parley.log, /\[redacted\]/)
})

test('several models and no default', async (t) => {
  await mock.configure('mock-small', 'mock-large')
  t.after(() => mock.configure('mock-small'))

  await t.test('a send without a model is MODEL_REQUIRED and names them', async (t) => {
    const { url } = await parleyBefore(t)
    const { token } = await signUp(url)
    const error = await refused(url, sendDocument, { input: { content: 'which model' } }, token)
    assert.equal(error.extensions.code, 'MODEL_REQUIRED')
    assert.deepEqual(error.extensions.models.toSorted(), ['mock-large', 'mock-small', 'script'])
    assert.equal(
      (await data(url, '{ conversations { totalCount } }', {}, token)).conversations.totalCount,
      0,
      'a refusal writes nothing',
    )
    const { reply } = await send(url, token, { content: 'which model', model: 'mock-large', wait: true })
    assert.equal(reply.content, 'model=mock-large')
    assert.equal(reply.model, 'mock-large')
  })

  await t.test('PARLEY_MODEL chooses one', async (t) => {
    const { url } = await parleyBefore(t, { PARLEY_MODEL: 'mock-large' })
    const { token } = await signUp(url)
    const { reply } = await send(url, token, { content: 'which model', wait: true })
    assert.equal(reply.content, 'model=mock-large')
  })

  await t.test('PARLEY_MODELS is the list of what may be used', async (t) => {
    const { url } = await parleyBefore(t, { PARLEY_MODELS: 'mock-small', PARLEY_ELIZA: 'on' })
    const { token } = await signUp(url)
    const { models } = await data(url, '{ models { name isDefault } }', {}, token)
    assert.deepEqual(models.map((m) => m.name).sort(), ['eliza', 'mock-small', 'script'])
    assert.equal((await send(url, token, { content: 'which model', wait: true })).reply.content, 'model=mock-small')
    const { reply } = await send(url, token, { content: 'Hello', model: 'eliza', ...brief, wait: true })
    assert.equal(reply.status, 'COMPLETED')
    const error = await refused(url, sendDocument, { input: { content: 'Hi', model: 'mock-large' } }, token)
    assert.equal(error.extensions.code, 'BAD_USER_INPUT')
  })
})

test('a model server that is not there', async (t) => {
  const OPENAI_BASE_URL = `http://127.0.0.1:${await freePort()}/v1`
  const nameless = await parleyBefore(t, { OPENAI_BASE_URL })
  const somebody = await signUp(nameless.url)
  const error = await refused(nameless.url, '{ models { name } }', {}, somebody.token)
  assert.equal(error.extensions.code, 'MODEL_UNAVAILABLE')

  // The operator has named a model, so that nobody has to ask for the list.
  const { url } = await parleyBefore(t, { OPENAI_BASE_URL, PARLEY_MODEL: 'mock-small' })
  const { token } = await signUp(url)
  const { models } = await data(url, '{ models { name } }', {}, token)
  assert.deepEqual(models.map((m) => m.name).sort(), ['mock-small', 'script'])
  const { reply } = await send(url, token, { content: 'Hello', wait: true })
  assert.equal(reply.status, 'FAILED')
  assert.equal(reply.error.code, 'UPSTREAM_UNAVAILABLE')
})
