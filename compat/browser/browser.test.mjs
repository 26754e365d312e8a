// A page of another origin in headless Chromium, with nothing but what browsers
// have: EventSource, fetch and WebSocket. The built-in model says a word each 200 ms.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { after, before, describe, test } from 'node:test'
import { chromium } from 'playwright-core'
import { brief, finalMessage, Parley, readMessage, refreshDocument, send, serverURL, signUp } from '../lib/parley.mjs'

const url = serverURL()

// The built-in model repeats most of this: a reply of about 25 words, 5 seconds.
const long = 'If the river had no water and the sea had no salt and nobody had a boat'
// And this one takes 8 seconds.
const longer = `I need ${Array.from({ length: 32 }, (_, i) => `thing${i}`).join(' ')}`

// join signs a user up, one after the other: a server hashes few passwords at once.
let queue = Promise.resolve()
const join = (base) => (queue = queue.catch(() => {}).then(() => signUp(base)))

let browser
let site
let port

before(async () => {
  const page = readFileSync(new URL('page.html', import.meta.url))
  site = createServer((_, response) => response.setHeader('Content-Type', 'text/html').end(page)).listen(0, '127.0.0.1')
  await once(site, 'listening')
  port = site.address().port
  browser = await chromium.launch({
    executablePath: process.env.CHROMIUM || '/usr/bin/chromium',
    // Containers give Chromium neither a sandbox nor much of /dev/shm.
    args: ['--no-sandbox', '--disable-dev-shm-usage', '--host-resolver-rules=MAP *.example.com 127.0.0.1'],
  })
  for (let n = 0; n < 9; n++) pages.push(await openPage('localhost'))
})

after(async () => {
  await browser?.close()
  site?.closeAllConnections()
  site?.close()
})

// Pages are opened before the first test: on a busy machine that takes longer than a reply.
const pages = []

async function openPage(host) {
  const page = await browser.newPage()
  await page.goto(`http://${host}:${port}/`)
  return page
}

async function open(t, host = 'localhost') {
  const page = (host === 'localhost' && pages.pop()) || (await openPage(host))
  t.after(() => page.close())
  return page
}

const follow = (page, how, base, token, id) =>
  page.evaluate(([how, ...args]) => globalThis[how](...args), [how, `${base}/graphql`, token, id])

async function assertWhole(seen, base, token, id) {
  const stored = await readMessage(base, token, id)
  assert.deepEqual([stored.status, seen.status, seen.types.at(-1)], ['COMPLETED', 'COMPLETED', 'MessageFinished'])
  assert.equal(seen.partial, stored.content, 'the deltas and the stored content')
  assert.equal(seen.content, stored.content)
  return stored
}

describe('Chromium', { concurrency: true }, () => {
  for (const how of ['byEventSource', 'byFetch', 'byWebSocket']) {
    test(`${how}: a whole reply, word by word`, async (t) => {
      const page = await open(t)
      const { token } = await join(url)
      const { reply } = await send(url, token, { content: long })

      const seen = await follow(page, how, url, token, reply.id)

      await assertWhole(seen, url, token, reply.id)
      assert.ok(
        seen.types.filter((type) => type === 'MessageDelta').length >= 10,
        `want many deltas, got ${seen.types}`,
      )
    })
  }

  test('an error in a stream has a code', async (t) => {
    const page = await open(t)
    const user = await join(url)
    const [answer] = await page.evaluate(
      async ([url, token, id]) => {
        const response = await post(url, token, watch, { id }, { Accept: 'text/event-stream' })
        return (await response.text()).match(/(?<=data: ).*/)
      },
      [`${url}/graphql`, user.token, user.user.id],
    ) // No message.
    assert.equal(JSON.parse(answer).errors[0].extensions.code, 'NOT_FOUND')
  })

  test('queries and mutations by fetch, and what the page may read of the answer', async (t) => {
    const page = await open(t)
    const { token, user } = await join(url)
    const answers = await page.evaluate(
      async ([url, token]) => {
        const byPost = await (await post(url, token, '{ viewer { id } }')).json()
        const byGet = await (
          await fetch(`${url}?query={viewer{id}}`, {
            headers: { 'GraphQL-Require-Preflight': '1', Authorization: `Bearer ${token}` },
          })
        ).json()
        const simple = (await fetch(`${url}?query={models{name}}`)).status
        const mutation = await (
          await post(url, token, 'mutation { createConversation(input: {name: "Mine"}) { conversation { name } } }')
        ).json()
        return { byPost, byGet, simple, mutation }
      },
      [`${url}/graphql`, token],
    )

    assert.equal(answers.byPost.data.viewer.id, user.id)
    assert.equal(answers.byGet.data.viewer.id, user.id)
    assert.equal(answers.simple, 400, 'a GET that any page can cause')
    assert.equal(answers.mutation.data.createConversation.conversation.name, 'Mine')
  })

  test('stopReply ends the stream with the text so far', async (t) => {
    const page = await open(t)
    const { token } = await join(url)
    const { reply } = await send(url, token, { content: long })
    const following = follow(page, 'byEventSource', url, token, reply.id)
    await page.waitForFunction(() => globalThis.deltas >= 3)

    await page.evaluate(
      ([url, token, id]) =>
        post(url, token, 'mutation ($id: ID!) { stopReply(input: {messageId: $id}) { message { id } } }', { id }),
      [`${url}/graphql`, token, reply.id],
    )
    const seen = await following

    const stored = await readMessage(url, token, reply.id)
    assert.deepEqual([stored.status, seen.status, seen.content], ['STOPPED', 'STOPPED', stored.content])
  })

  test('a cursor resumes without a snapshot', async (t) => {
    const page = await open(t)
    const { token } = await join(url)
    const { reply } = await send(url, token, { content: long })
    const parts = await page.evaluate(
      async ([url, token, id]) => {
        const first = await openStream(url, token, id)
        while (first.reply.types.length < 5) await first.read()
        await first.cancel()
        const held = first.reply.content
        const second = await openStream(url, token, id, first.reply)
        while (!second.done) await second.read()
        return { held, types: second.reply.types, ...second.reply.plain() }
      },
      [`${url}/graphql`, token, reply.id],
    )

    assert.ok(!parts.types.includes('MessageSnapshot'), `${parts.types}`)
    await assertWhole(parts, url, token, reply.id)
    assert.ok(parts.held !== '' && parts.content.startsWith(parts.held))
  })

  test('the server is killed in the middle: EventSource comes back by itself', async (t) => {
    const parley = await Parley.start({ PARLEY_LEASE: '5s' })
    t.after(() => parley.close())
    const page = await open(t)
    const { token } = await join(parley.url)
    const { reply } = await send(parley.url, token, { content: long })
    const following = follow(page, 'byEventSource', parley.url, token, reply.id)
    await page.waitForFunction(() => globalThis.deltas >= 3)

    await parley.kill()
    await parley.start()
    const seen = await following

    await finalMessage(parley.url, token, reply.id)
    const stored = await assertWhole(seen, parley.url, token, reply.id)
    assert.ok(stored.attempt >= 2)
    assert.ok(seen.opened >= 2)
  })

  test('the access token ends in the middle: EventSource goes on, with a fresh one if need be', async (t) => {
    const parley = await Parley.start({ PARLEY_ACCESS_TTL: '5s' })
    t.after(() => parley.close())
    const page = await open(t)
    const { token, refreshToken } = await join(parley.url)
    const { reply } = await send(parley.url, token, { content: longer })

    const seen = await page.evaluate(
      async ([url, token, refreshToken, refresh, id]) => {
        const renew = async () => {
          const { data } = await (await post(url, undefined, refresh, { input: { refreshToken } })).json()
          return (token = data.refreshSession.accessToken)
        }
        return { ...(await byEventSource(url, token, id, renew)), token }
      },
      [`${parley.url}/graphql`, token, refreshToken, refreshDocument, reply.id],
    )

    // It connects again with the same token, which is taken for two minutes more.
    assert.ok(seen.renewed || seen.opened >= 2, 'the token has ended')
    assert.equal((await assertWhole(seen, parley.url, seen.token, reply.id)).attempt, 1)
  })

  test('only pages of allowed origins get in', async (t) => {
    const allowed = `http://app.example.com:${port}`
    const parley = await Parley.start({ PARLEY_ALLOWED_ORIGINS: allowed })
    t.after(() => parley.close())
    const { token } = await join(parley.url)
    const { reply } = await send(parley.url, token, { content: 'Hello', ...brief, wait: true })
    const attempts = async (page) => {
      const results = {}
      for (const how of ['byEventSource', 'byFetch', 'byWebSocket']) {
        results[how] = await follow(page, how, parley.url, token, reply.id).then(
          (seen) => seen.content === reply.content,
          (error) => error.message.match(/Error: (.*)/)[1],
        )
      }
      return results
    }

    assert.deepEqual(await attempts(await open(t, 'app.example.com')), {
      byEventSource: true,
      byFetch: true,
      byWebSocket: true,
    })
    for (const host of ['127.0.0.1', 'evil.example.com']) {
      assert.deepEqual(
        await attempts(await open(t, host)),
        {
          byEventSource: 'EventSource has given up',
          byFetch: 'Failed to fetch',
          byWebSocket: 'closed with 1006',
        },
        host,
      )
    }
  })
})
