// Parley in front of aimock, whose answers have the shape of OpenAI's and Anthropic's, and of Portkey's gateway, a real
// proxy that translates between the two.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import http from 'node:http'
import { createRequire } from 'node:module'
import { after, before, test } from 'node:test'
import { LLMock } from '@copilotkit/aimock'
import { cleanEnvironment, data, freePort, Parley, send, signUp, until } from '../lib/parley.mjs'

const tide = 'The tide turns twice a day. 🌊 Grüße!'
const thought = 'The moon pulls.'

let mock

before(async () => {
  mock = new LLMock({ port: 0, host: '127.0.0.1', chunkSize: 7 })
  // The one that fits first answers.
  mock.on(
    { userMessage: 'no temperature', predicate: (request) => request.temperature !== undefined },
    refusal(400, 'invalid_request_error', "Unsupported parameter: 'temperature' is not supported with this model."),
  )
  mock.onMessage('too long', refusal(400, 'invalid_request_error', 'prompt is too long: 9000 tokens > 8000 maximum'))
  mock.onMessage('no money', refusal(400, 'invalid_request_error', 'Your credit balance is too low to access the API.'))
  mock.onMessage('no such model', refusal(404, 'not_found_error', 'model: claude-9'))
  mock.onMessage('which key', refusal(401, 'authentication_error', 'invalid x-api-key'))
  const busy = refusal(429, 'rate_limit_error', 'Slow down.')
  mock.on({ userMessage: 'busy', sequenceIndex: 0 }, { ...busy, retryAfter: 1 })
  mock.onMessage('think', { content: tide, reasoning: thought })
  mock.onMessage(/./, { content: tide, usage: { input_tokens: 12, output_tokens: 9 } })
  await mock.start()
})

after(() => mock?.stop())

function refusal(status, type, message) {
  return { status, error: { type, message } }
}

// startGateway starts Portkey's gateway as its package's command does. Which provider it is to call comes in headers,
// which the relay before it adds: Parley has none to set.
async function startGateway(t, provider, target) {
  const port = await freePort()
  const main = createRequire(import.meta.url).resolve('@portkey-ai/gateway/build/start-server.js')
  const child = spawn(process.execPath, [main, `--port=${port}`, '--headless'], {
    env: cleanEnvironment(),
    stdio: ['ignore', 'ignore', 'inherit'],
  })
  const ended = once(child, 'exit')
  t.after(async () => {
    child.kill()
    await ended
  })
  await until('the gateway answers', 20_000, () => fetch(`http://127.0.0.1:${port}/`).catch(() => null))
  const relay = http.createServer((request, response) => {
    const headers = { ...request.headers, 'x-portkey-provider': provider, 'x-portkey-custom-host': target }
    const onward = http.request({ port, path: request.url, method: request.method, headers }, (answer) => {
      response.writeHead(answer.statusCode, answer.headers)
      answer.pipe(response)
    })
    onward.on('error', () => response.destroy())
    response.on('close', () => onward.destroy())
    request.pipe(onward)
  })
  relay.listen(0, '127.0.0.1')
  await once(relay, 'listening')
  t.after(() => {
    relay.close()
    relay.closeAllConnections()
  })
  return `http://127.0.0.1:${relay.address().port}/v1`
}

async function parleyBefore(t, baseURL, settings = {}) {
  const parley = await Parley.start({ OPENAI_BASE_URL: baseURL, OPENAI_API_KEY: 'sk-test-4711', ...settings })
  t.after(() => parley.close())
  const { token } = await signUp(parley.url)
  const ask = async (content, input = {}) => {
    const { reply } = await send(parley.url, token, { content, wait: true, ...input })
    const query = `query ($id: ID!) { node(id: $id) { ... on Message {
      status content reasoning finishReason error { code } usage { promptTokens completionTokens estimated }
    } } }`
    return (await data(parley.url, query, { id: reply.id }, token)).node
  }
  return { parley, token, ask }
}

// calls is how often aimock was asked a question, for chat.
const calls = (question) =>
  mock.getRequests().filter(({ body }) => JSON.stringify(body?.messages ?? []).includes(question)).length

test('aimock as an OpenAI server', async (t) => {
  const { parley, token, ask } = await parleyBefore(t, `${mock.url}/v1`, { PARLEY_MODEL: 'gpt-4o' })

  await t.test('its list of models has no embeddings', async () => {
    const { models } = await data(parley.url, '{ models { name } }', {}, token)
    const names = models.map(({ name }) => name)
    assert.ok(names.includes('gpt-4o'), `${names}`)
    assert.ok(!names.some((name) => name.includes('embedding')), `${names}`)
  })

  await t.test('text, thoughts and counted tokens', async () => {
    const reply = await ask('think first')
    assert.equal(reply.status, 'COMPLETED')
    assert.equal(reply.content, tide)
    assert.equal(reply.reasoning, thought)
    assert.equal(reply.finishReason, 'STOP')
    assert.equal(reply.usage.estimated, false)
    assert.ok(reply.usage.completionTokens > 0)
  })

  await t.test('a parameter that it refuses is left out', async () => {
    const reply = await ask('no temperature please', { parameters: { temperature: 0.3 } })
    assert.equal(reply.status, 'COMPLETED')
    assert.equal(reply.content, tide)
    assert.equal(calls('no temperature please'), 2)
    await ask('no temperature again', { parameters: { temperature: 0.3 } })
    assert.equal(calls('no temperature again'), 1, 'it was learnt')
  })

  await t.test('it is asked again when it says so', async () => {
    const reply = await ask('busy')
    assert.equal(reply.status, 'COMPLETED')
    assert.equal(calls('busy'), 2)
  })
})

test('Portkey in front of an Anthropic server', async (t) => {
  const baseURL = await startGateway(t, 'anthropic', `${mock.url}/v1`)
  const { ask } = await parleyBefore(t, baseURL, { PARLEY_MODEL: 'claude-sonnet-4-6' })

  await t.test('text and counted tokens', async () => {
    const reply = await ask('When does it turn?', { parameters: { maxTokens: 50 } })
    assert.equal(reply.status, 'COMPLETED', JSON.stringify(reply))
    assert.equal(reply.content, tide)
    assert.equal(reply.finishReason, 'STOP')
    assert.deepEqual(reply.usage, { promptTokens: 12, completionTokens: 9, estimated: false })
  })

  for (const [question, code] of [
    ['too long', 'CONTEXT_TOO_LONG'],
    ['no money', 'UPSTREAM_QUOTA'],
    ['no such model', 'MODEL_UNAVAILABLE'],
    ['which key', 'UPSTREAM_UNAUTHORIZED'],
  ]) {
    await t.test(`its refusal "${question}" is ${code}`, async () => {
      const reply = await ask(question)
      assert.equal(reply.status, 'FAILED')
      assert.equal(reply.error.code, code)
    })
  }
})
