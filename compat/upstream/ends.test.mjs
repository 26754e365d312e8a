// What becomes of a reply when Parley ends in the middle of it: killed, asked to
// end, and started again on the same data. The viewers are graphql-ws and
// graphql-sse with their default settings; they find back by themselves.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'
import { createClient as createSSE } from 'graphql-sse'
import { createClient as createWS } from 'graphql-ws'
import WebSocket from 'ws'
import { serveModel } from '../lib/model.mjs'
import { data, finalMessage, noPostgres, Parley, readMessage, send, signUp, until, Watch } from '../lib/parley.mjs'

const words = Array.from({ length: 40 }, (_, i) => `word${i}🎉 `)
const text = words.join('')

// startModel is a model server whose script decides how each call is answered:
// mock-llm can neither pause nor stop in the middle.
async function startModel(t, script) {
  const model = { calls: 0 }
  model.baseURL = await serveModel(t, async ({ say, closed, response }) => {
    const call = ++model.calls
    for (const [i, word] of words.entries()) {
      await Promise.race([script(call, i), closed])
      if (response.destroyed) return
      say(word)
    }
  })
  return model
}

// setup starts both servers and two viewers of a reply that is being written: one
// that resumes with a cursor, on a WebSocket, and one that begins again, on SSE.
async function setup(t, script, settings = {}) {
  const model = await startModel(t, script)
  // On Postgres others could be alive: a reply is taken over when the lease ends.
  const parley = await Parley.start({ OPENAI_BASE_URL: model.baseURL, PARLEY_LEASE: '5s', ...settings })
  t.after(() => parley.close())
  const { token } = await signUp(parley.url)
  const codes = []
  const client = createWS({
    url: `${parley.url.replace('http', 'ws')}/graphql`,
    webSocketImpl: WebSocket,
    connectionParams: { Authorization: `Bearer ${token}` },
    shouldRetry: () => true,
    on: { closed: (event) => codes.push(event.code) },
  })
  const sse = createSSE({ url: `${parley.url}/graphql`, headers: { Authorization: `Bearer ${token}` } })
  t.after(() => {
    client.dispose()
    sse.dispose()
  })
  const sent = await send(parley.url, token, { content: 'Tell me everything', clientKey: 'a-client-key' })
  const watch = new Watch(client, sent.reply.id, { resume: true })
  const watchSSE = new Watch(sse, sent.reply.id)
  return { model, parley, token, sent, watch, watchSSE, codes }
}

const forever = () => new Promise(() => {})
const options = { skip: noPostgres, timeout: 600_000 }

test('kill -9 in mid-stream: the reply is written again and reaches its viewers', options, async (t) => {
  // The first call stops in the middle for good.
  const { model, parley, token, sent, watch, watchSSE } = await setup(
    t,
    (call, i) => call === 1 && i === 20 && forever(),
  )
  await Promise.all([watch, watchSSE].map((one) => one.when((w) => w.content.includes('word19'))))

  await parley.kill()
  await parley.start()

  const { userMessage, reply } = sent
  assert.equal((await readMessage(parley.url, token, userMessage.id)).content, 'Tell me everything')
  const stored = await finalMessage(parley.url, token, reply.id)
  assert.equal(stored.status, 'COMPLETED')
  assert.equal(stored.content, text)
  assert.equal(stored.attempt, 2)
  assert.equal(model.calls, 2)

  await watch.done
  const second = watch.events.findLastIndex((e) => e.__typename === 'MessageSnapshot')
  assert.ok(second > 0, `want a second snapshot in ${watch.types()}`)
  assert.equal(watch.events[second].message.attempt, 2)
  assert.equal(watch.partial, text)
  assert.equal(watch.events.at(-1).message.attempt, 2)
  await watchSSE.done
  // One more on Postgres: until the lease ends it comes back to the old attempt.
  assert.ok([2, 3].includes(watchSSE.count('MessageSnapshot')), `${watchSSE.types()}`)
  assert.equal(watchSSE.partial, text)

  // The send is answered from what was stored.
  const again = await send(parley.url, token, { content: 'Tell me everything', clientKey: 'a-client-key' })
  assert.equal(again.deduplicated, true)
  assert.deepEqual([again.userMessage.id, again.reply.id], [userMessage.id, reply.id])
  assert.equal(model.calls, 2, 'and the model is not asked again')
})

test('kill -9 with PARLEY_ON_CRASH=interrupt: the text so far stays', options, async (t) => {
  const { model, parley, token, sent, watch } = await setup(t, (call) => call === 1 && pause(100), {
    PARLEY_ON_CRASH: 'interrupt',
  })
  // Text is stored every second or so: after 2.5 seconds there is some.
  await watch.when((w) => w.content.includes('word25'))

  await parley.kill()
  await parley.start()

  const stored = await finalMessage(parley.url, token, sent.reply.id)
  assert.equal(stored.status, 'INTERRUPTED')
  assert.equal(stored.error.code, 'RESTARTED')
  assert.ok(stored.content.length > 0, 'some text was stored')
  assert.ok(text.startsWith(stored.content), `a beginning of the text: ${stored.content}`)
  await watch.done
  assert.equal(watch.events.at(-1).message.status, 'INTERRUPTED')
  assert.equal(watch.content, stored.content)
  assert.equal(model.calls, 1)

  // The conversation goes on.
  const next = await send(parley.url, token, { conversationId: sent.conversation.id, content: 'Go on' })
  assert.equal((await finalMessage(parley.url, token, next.reply.id)).content, text)
})

test('SIGTERM in mid-stream: the reply is finished, the socket is told to come back', options, async (t) => {
  let open
  const gate = new Promise((resolve) => (open = resolve))
  const { model, parley, token, sent, watch, watchSSE, codes } = await setup(t, (_, i) => i === 20 && gate)
  await Promise.all([watch, watchSSE].map((one) => one.when((w) => w.content.includes('word19'))))

  const stopped = parley.stop()
  await until('the socket closes', 10_000, () => codes.length > 0)
  assert.equal(codes[0], 1012)
  open() // The model goes on: there is time for it.
  assert.equal(await stopped, 0, parley.log)
  await parley.start()

  const stored = await readMessage(parley.url, token, sent.reply.id)
  assert.equal(stored.status, 'COMPLETED')
  assert.equal(stored.content, text)
  assert.equal(stored.attempt, 1)
  await watch.done
  assert.equal(watch.count('MessageSnapshot'), 1, 'its cursor still holds')
  assert.equal(watch.partial, text)
  await watchSSE.done
  assert.equal(watchSSE.count('MessageSnapshot'), 2, 'it was cut off, not completed')
  assert.equal(watchSSE.partial, text)
  assert.equal(model.calls, 1)
})

test('SIGTERM with a model that does not come to an end: the next one starts again', options, async (t) => {
  const { model, parley, token, sent, watch, watchSSE, codes } = await setup(
    t,
    (call, i) => call === 1 && i === 20 && forever(),
  )
  await watch.when((w) => w.content.includes('word19'))
  watch.stop()
  watchSSE.stop()

  const began = Date.now()
  assert.equal(await parley.stop(), 0, parley.log)
  assert.ok(Date.now() - began < 30_000, 'a shutdown ends within 30 seconds')
  assert.ok(codes.length > 0)
  // Released, not crashed: this is about a crash only.
  await parley.start({ PARLEY_ON_CRASH: 'interrupt' })

  const stored = await finalMessage(parley.url, token, sent.reply.id)
  assert.equal(stored.status, 'COMPLETED')
  assert.equal(stored.content, text)
  assert.equal(stored.attempt, 2)
  assert.equal(model.calls, 2)
})

test('stopReply ends the call to the model', options, async (t) => {
  const { parley, token, sent, watch } = await setup(t, (_, i) => i === 20 && forever())
  await watch.when((w) => w.content.includes('word19'))
  await data(
    parley.url,
    'mutation ($id: ID!) { stopReply(input: { messageId: $id }) { message { id } } }',
    { id: sent.reply.id },
    token,
  )
  await watch.done
  assert.equal(watch.events.at(-1).message.status, 'STOPPED')
  assert.equal(watch.content, words.slice(0, 20).join(''))
})
