// Sessions: tokens that end, tabs, sign-outs; sends: what is repeated, and what comes of it.
import assert from 'node:assert/strict'
import { before, after, test } from 'node:test'
import { WebSocket } from 'ws'
import { Parley, signUp, startProxy, until } from '../lib/parley.mjs'
import { client, enter, states, transports } from './client.mjs'

const { follow, send, session: newSession, Refused } = client
const script = (content) => ({ content, model: 'script' })
const viewer = '{ viewer { id } }'
const feed = 'subscription { viewerEvents { __typename } }'

let parley
before(async () => {
  parley = await Parley.start({ PARLEY_SCRIPT: 'on' })
})
after(() => parley.close())

// counting is fetch that counts the requests whose document says so; answer may take one over.
function counting(pattern, answer = (url, init) => fetch(url, init)) {
  const counted = async (url, init) => {
    if (!pattern.test(init.body)) return fetch(url, init)
    counted.count++
    return answer(url, init, counted.count)
  }
  counted.count = 0
  return counted
}

const refusal = (code, extensions = {}) =>
  Response.json({ data: null, errors: [{ message: 'No.', extensions: { code, ...extensions } }] })

test('a session begins, is known again by its store, and ends', async () => {
  const store = client.memoryStore()
  const options = { url: `${parley.url}/graphql`, store, webSocket: null }
  const session = newSession(options)
  assert.equal(session.signedIn, false)
  assert.equal(await session.token(), null)
  const input = { email: `${crypto.randomUUID()}@example.com`, password: 'correct horse battery staple' }
  await session.signUp(input)
  assert.equal(session.signedIn, true)
  const { viewer: user } = await session.run(viewer)

  const again = newSession(options)
  assert.equal(again.signedIn, true)
  assert.deepEqual(await again.run(viewer), { viewer: user })
  await again.signOut()
  assert.equal(again.signedIn, false)
  assert.equal(store.load(), null)
  assert.deepEqual(await again.run(viewer), { viewer: null })
  await assert.rejects(session.run(viewer), (error) => error instanceof Refused && error.code === 'UNAUTHENTICATED')
  assert.equal(session.signedIn, false)

  await assert.rejects(session.signIn({ ...input, password: 'wrong horse battery' }), { code: 'UNAUTHENTICATED' })
  await session.signIn(input)
  assert.deepEqual(await session.run(viewer), { viewer: user })
})

for (const [name, options] of Object.entries(transports)) {
  test(`${name}: a token that is refused is renewed once, for requests and subscriptions together`, async () => {
    const fetch = counting(/refreshSession/)
    const tokens = await signUp(parley.url)
    const session = await enter(parley.url, { ...options, fetch }, { ...tokens, accessToken: 'over' })
    const events = session.subscribe(feed)
    const more = session.subscribe(feed)
    const all = await Promise.all([events.next(), more.next(), ...[1, 2, 3].map(() => session.run(viewer))])
    assert.equal(all[0].value.viewerEvents.__typename, 'ViewerReady')
    assert.equal(fetch.count, 1)
    session.close()
    assert.equal((await events.next()).done, true)
  })

  test(`${name}: a sign-out elsewhere ends what is followed`, async () => {
    const tokens = await signUp(parley.url)
    const session = await enter(parley.url, options, tokens)
    const events = session.subscribe(feed)
    await events.next()
    const elsewhere = await enter(parley.url, {}, tokens)
    await elsewhere.signOut()
    const out = new Promise((resolve) => session.onChange(() => session.signedIn || resolve()))
    await assert.rejects(
      async () => {
        while (!(await events.next()).done);
      },
      { code: 'UNAUTHENTICATED' },
    )
    await out
    assert.equal(await session.token(), null)
  })
}

test('five tabs whose token ends at once renew it once, and are signed out together', async (t) => {
  // Web Locks, which Node 20 has not.
  let queue = Promise.resolve()
  const locks = { request: (_, work) => (queue = queue.then(work, work)) }
  Object.defineProperty(globalThis, 'navigator', { value: { locks }, configurable: true, writable: true })
  t.after(() => delete globalThis.navigator)

  const fetch = counting(/refreshSession/)
  const tokens = await signUp(parley.url)
  const store = { ...client.memoryStore(), shared: `tabs-${crypto.randomUUID()}` }
  const options = { store, fetch, url: `${parley.url}/graphql`, webSocket: WebSocket }
  const tabs = Array.from({ length: 5 }, () => newSession(options))
  await tabs[0].adopt({ ...tokens, accessToken: 'over' })
  await until('all tabs know', 0, () => tabs.every(({ signedIn }) => signedIn))

  const answers = await Promise.all(tabs.map((tab) => tab.run(viewer)))
  assert.equal(new Set(answers.map((answer) => answer.viewer.id)).size, 1)
  assert.equal(fetch.count, 1)

  const feeds = tabs.map((tab) => tab.subscribe(feed))
  await Promise.all(feeds.map((events) => events.next()))
  await tabs[2].signOut()
  const ends = await Promise.allSettled(feeds.map((events) => events.next()))
  assert.deepEqual(
    ends.map(({ reason }) => reason?.code),
    Array(5).fill('UNAUTHENTICATED'),
  )
  assert.ok(tabs.every(({ signedIn }) => !signedIn))
  tabs.forEach((tab) => tab.close())
})

test('without locks a tab that was slower takes the token of the quicker one', async () => {
  const tokens = await signUp(parley.url)
  let held = 'rt_of_before'
  const store = { load: () => held, save: (token) => void (held = token) }
  const slow = counting(/refreshSession/, (url, init, count) => {
    if (count > 1) return fetch(url, init)
    held = tokens.refreshToken
    return refusal('UNAUTHENTICATED')
  })
  const session = newSession({ url: `${parley.url}/graphql`, store, fetch: slow, webSocket: null })
  assert.ok(await session.token())
  assert.equal(slow.count, 2)
  assert.notEqual(held, tokens.refreshToken)
})

for (const code of ['UNAUTHENTICATED', 'UNAVAILABLE']) {
  test(`${code}: what one user has asked for is not asked again for the next`, async () => {
    const next = await signUp(parley.url)
    const fetch = counting(/viewer/, async () => {
      await session.adopt({ accessToken: next.accessToken, refreshToken: next.refreshToken })
      return refusal(code)
    })
    const session = await enter(parley.url, { fetch })
    await assert.rejects(session.run(viewer), { code: 'UNAUTHENTICATED' })
    assert.equal(fetch.count, 1)
  })
}

test('all subscriptions share one socket, which is opened by need and closed when nothing is left', async () => {
  const sockets = []
  class Counted extends WebSocket {
    constructor(...where) {
      super(...where)
      sockets.push(this)
    }
  }
  const session = await enter(parley.url, { webSocket: Counted })
  assert.equal(sockets.length, 0)
  const events = [1, 2, 3].map(() => session.subscribe(feed))
  await Promise.all(events.map((one) => one.next()))
  assert.equal(session.line.state, 'live')
  assert.equal(sockets.length, 1)
  await Promise.all(events.map((one) => one.return()))
  await until('the socket is closed', 0, () => sockets[0].readyState === WebSocket.CLOSED)
  assert.equal(session.line.state, 'idle')
  const abort = new AbortController()
  const again = session.subscribe(feed, {}, { signal: abort.signal })
  await again.next()
  assert.equal(sockets.length, 2)
  abort.abort()
  assert.deepEqual(await again.next(), { value: undefined, done: true })
  assert.equal((await session.subscribe(feed, {}, { signal: abort.signal }).next()).done, true)
})

test('a subscription that the server refuses throws, and others go on', async () => {
  const session = await enter(parley.url, { webSocket: WebSocket })
  const good = session.subscribe(feed)
  await good.next()
  await assert.rejects(session.subscribe('subscription { nothing }').next(), { code: 'GRAPHQL_VALIDATION_FAILED' })
  await assert.rejects(states(follow(session, 'msg_none')), Refused)
  await send(session, script('Still there? /tokens 2'))
  assert.equal((await good.next()).value.viewerEvents.__typename, 'ConversationCreated')
  session.close()
})

test('a connection that is cut is back at once, and one that does not last waits', async () => {
  const proxy = await startProxy(parley.url)
  const session = await enter(proxy.url, { webSocket: WebSocket })
  let again = 0
  const lines = []
  session.onChange(() => lines.push(session.line.state))
  const events = session.subscribe(feed, {}, { again: () => again++ })
  await events.next()
  proxy.cut()
  assert.equal((await events.next()).value.viewerEvents.__typename, 'ViewerReady')
  assert.equal(again, 1)
  assert.deepEqual(lines, ['connecting', 'live', 'waiting', 'connecting', 'live'])
  session.close()
  proxy.close()
})

test('a server that restarts says so, and nothing else is shown until it is back', async () => {
  const own = await Parley.start()
  const session = await enter(own.url, { webSocket: WebSocket })
  const lines = []
  const events = session.subscribe(feed)
  await events.next()
  session.onChange(() => lines.at(-1) !== session.line.state && lines.push(session.line.state))
  await own.stop()
  await own.start()
  assert.equal((await events.next()).value.viewerEvents.__typename, 'ViewerReady')
  assert.equal(lines[0], 'restarting')
  assert.equal(lines.at(-1), 'live')
  session.close()
  await own.close()
})

test('what a browser says of the network counts', async (t) => {
  const page = new EventTarget()
  globalThis.addEventListener = page.addEventListener.bind(page)
  Object.defineProperty(globalThis, 'navigator', { value: { onLine: true }, configurable: true, writable: true })
  t.after(() => ['addEventListener', 'navigator'].forEach((name) => delete globalThis[name]))
  const session = await enter(parley.url, { webSocket: WebSocket })
  const happens = (name) => page.dispatchEvent(new Event(name))
  happens('offline') // Nothing is open.
  assert.equal(session.line.state, 'idle')
  const events = session.subscribe(feed)
  await events.next()
  globalThis.navigator.onLine = false
  happens('offline')
  assert.equal(session.line.state, 'offline')
  globalThis.navigator.onLine = true
  happens('online')
  assert.equal((await events.next()).value.viewerEvents.__typename, 'ViewerReady')
  session.close()
  let changes = 0
  session.onChange(() => changes++)
  happens('offline')
  assert.equal(changes, 0, 'a session that is closed hears nothing more')
})

test('a send whose answer is lost is repeated with its key, and is there once', async () => {
  const fetch = counting(/sendMessage/, async (url, init, count) => {
    const response = await globalThis.fetch(url, init)
    if (count === 1) throw new TypeError('cut')
    return count === 2 ? new Response('<h1>Bad gateway</h1>', { status: 502 }) : response
  })
  const session = await enter(parley.url, { fetch })
  const sent = await send(session, script('Once /tokens 2'))
  assert.equal(sent.kind, 'sent')
  assert.equal(sent.deduplicated, true)
  assert.equal(sent.reply.conversationId, sent.conversationId)
  assert.equal(fetch.count, 3)
})

test('a send into a conversation that is busy, or has moved on', async () => {
  const session = await enter(parley.url)
  const { conversationId, reply } = await send(session, script('Long /tokens 500 /slow 50'))
  const input = { ...script('And this? /tokens 2'), conversationId }
  const busy = await send(session, input)
  assert.deepEqual(busy, { kind: 'busy', clientKey: busy.clientKey, runningReplyId: reply.id })
  const next = await send(session, { ...input, clientKey: busy.clientKey, onBusy: 'INTERRUPT' })
  assert.equal(next.kind, 'sent')
  const all = await states(follow(session, next.reply.id))
  assert.equal(all.at(-1).final, true)
  const stale = await send(session, { ...input, expectedHeadId: reply.id })
  assert.deepEqual(stale, { kind: 'stale', clientKey: stale.clientKey, headId: next.reply.id })
  await assert.rejects(send(session, { content: ' ', clientKey: 'key-of-mine' }), (error) => {
    assert.equal(error.code, 'BAD_USER_INPUT')
    assert.equal(error.extensions.clientKey, 'key-of-mine')
    return 'content' in error.extensions.fields
  })
})

test('a server that has too much to do is asked again as long as there is patience', async (t) => {
  const refuse = (codes) =>
    counting(/sendMessage/, (url, init, count) =>
      codes[count - 1] ? refusal(...codes[count - 1]) : globalThis.fetch(url, init),
    )
  const overloaded = ['OVERLOADED', { retryAfter: 5 }]
  const at = async (patience, ...codes) => {
    const fetch = refuse(codes)
    const session = await enter(parley.url, { fetch })
    const { kind, code, retryAfterMs } = await send(session, script('Now? /tokens 2'), { patience })
    return [kind, fetch.count, code, retryAfterMs]
  }
  assert.deepEqual(await at(4_000, overloaded), ['overloaded', 1, 'OVERLOADED', 5_000])
  const once = ['RATE_LIMITED', { retryAfter: 0.1 }]
  assert.deepEqual(await at(60_000, once, ['UNAVAILABLE'], ['OVERLOADED']), ['sent', 4, undefined, undefined])
  assert.deepEqual(await at(60_000, ['QUEUE_FULL']), ['overloaded', 1, 'QUEUE_FULL', null])
  const quota = ['QUOTA_EXCEEDED', { retryAfter: 60, quota: 'tokens_per_day' }]
  assert.deepEqual(await at(600_000, quota), ['overloaded', 1, 'QUOTA_EXCEEDED', 60_000])

  const session = await enter(parley.url, { fetch: refuse([['UNAVAILABLE'], ['UNAVAILABLE']]) })
  await assert.rejects(send(session, script('Now?'), { patience: 0 }), { code: 'UNAVAILABLE' })
  const abort = new AbortController()
  const waits = send(session, script('Now?'), { signal: abort.signal })
  abort.abort(new Error('enough'))
  await assert.rejects(waits, /enough/)
})

test('a wrong address is said at once', async () => {
  const session = newSession({ url: `${parley.url}/nothing-here`, webSocket: null })
  await assert.rejects(session.run(viewer), { code: 'BAD_REQUEST' })
})

test('a session in a cookie that only the server reads', async (t) => {
  const asked = []
  let answer
  t.mock.method(globalThis, 'fetch', async (url, { method, headers, body }) => {
    asked.push([method, url, headers['Parley-Session'], body])
    return answer()
  })
  const none = () => new Response(null, { status: 204 })
  const store = client.cookieStore()
  const session = newSession({ url: `${parley.url}/graphql`, store, webSocket: null })

  answer = none
  assert.equal(await session.token(), null)
  assert.deepEqual(asked.splice(0), [['POST', '/session/refresh', '1', null]])
  assert.equal(await session.token(), null)
  assert.deepEqual(asked, [], 'nobody is asked twice')

  await session.adopt({ accessToken: 'a', refreshToken: 'r' })
  assert.deepEqual(asked.splice(0), [['POST', '/session', '1', '{"refreshToken":"r"}']])
  assert.equal(await session.token(), 'a')
  answer = () => Promise.reject(new TypeError('cut'))
  await assert.rejects(session.signOut(), { code: 'UNAVAILABLE' })
  assert.equal(session.signedIn, true)
  answer = none
  asked.length = 0
  await session.signOut()
  assert.deepEqual(asked.splice(0), [['DELETE', '/session', '1', null]])
  assert.equal(session.signedIn, false)

  const again = newSession({ url: `${parley.url}/graphql`, store, webSocket: null })
  answer = () => refusal('UNAVAILABLE')
  await assert.rejects(again.token(), { code: 'UNAVAILABLE' })
  answer = () => Response.json({ accessToken: 'b', expiresIn: 900 })
  assert.equal(await again.token(), 'b')
  assert.equal(again.signedIn, true)
  session.close()
  again.close()

  const third = newSession({ url: `${parley.url}/graphql`, store, webSocket: null })
  answer = () => refusal('UNAUTHENTICATED')
  assert.equal(await third.token(), null)
  assert.equal(third.signedIn, false)
  third.close()
})
