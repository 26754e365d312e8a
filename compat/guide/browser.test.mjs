// The guide in Chromium: two tabs of one browser, with its own store, Web Locks and
// WebSockets, on a page of another origin.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { join } from 'node:path'
import { test } from 'node:test'
import { chromium } from 'playwright-core'
import { Parley, password, until } from '../lib/parley.mjs'
import { beginning, blocks, here, reply, server, startModel } from './guide.mjs'

// A page of the guide: what a bundler would put together, an import map finds.
const page = `<!doctype html><html lang="en"><meta charset="utf-8"><title>Guide</title><link rel="icon" href="data:,">
<script type="importmap">{ "imports": { "graphql-ws": "/graphql-ws/client.js" } }</script>
<script type="module">
  import * as session from '/guide/session.js'
  import { openChat, openList } from '/guide/chat.js'
  import { follow } from '/guide/plain/follow.js'
  import { send, unsent } from '/guide/outbox.js'
  import { socket } from '/guide/socket.js'
  const page = (window.page = { session, send, unsent, errors: [], users: [], log: [] })
  for (const event of ['connecting', 'connected']) socket.on(event, () => page.log.push(event))
  socket.on('closed', ({ code }) => page.log.push('closed ' + code))
  session.onUser((user) => page.users.push(user?.name ?? null))
  page.open = () => openList(follow, (held) => (page.list = held), (error) => page.errors.push(error.message))
  page.enter = (id) => openChat(follow, id, (held) => (page.chat = held), (error) => page.errors.push(error.message))
  page.ready = true
</script>`

async function startSite(t, url) {
  const site = createServer((request, response) => {
    response.setHeader('Content-Type', 'text/javascript')
    const block = blocks.find(({ file }) => request.url === `/guide/${file}`)
    if (block) return response.end(block.code.replaceAll(server, url))
    if (request.url.startsWith('/graphql-ws/')) {
      return response.end(readFileSync(join(here, 'node_modules/graphql-ws/dist', request.url.slice(12))))
    }
    response.setHeader('Content-Type', 'text/html').end(page)
  }).listen(0, '127.0.0.1')
  await once(site, 'listening')
  t.after(() => {
    site.close()
    site.closeAllConnections()
  })
  return `http://localhost:${site.address().port}/`
}

test('two tabs: one refresh for both, and a sign-out that both see', { timeout: 60_000 }, async (t) => {
  const model = await startModel(t)
  const parley = await Parley.start({ OPENAI_BASE_URL: model.baseURL, PARLEY_ACCESS_TTL: '4s' })
  t.after(() => parley.close())
  const site = await startSite(t, parley.url)
  const browser = await chromium.launch({
    executablePath: process.env.CHROMIUM || '/usr/bin/chromium',
    args: ['--no-sandbox', '--disable-dev-shm-usage'],
  })
  t.after(() => browser.close())
  const context = await browser.newContext()
  const said = []
  const refreshed = []
  context.on('console', (message) => said.push(`${message.type()}: ${message.text()}`))
  context.on('weberror', (error) => said.push(`${error.error()}`))
  context.on('request', (request) => {
    const token = request.postData()?.includes('refreshSession') && JSON.parse(request.postData()).variables
    if (token) refreshed.push(token.input.refreshToken)
  })
  const tab = async () => {
    const tab = await context.newPage()
    await tab.goto(site)
    await tab.waitForFunction(() => window.page?.ready)
    return tab
  }
  const shown = (tab, id) =>
    tab.evaluate((id) => [...page.chat.messages, ...page.unsent(id, page.chat.messages)].map((m) => m.content), id)

  const first = await tab()
  const input = { email: `${crypto.randomUUID()}@example.com`, password, name: 'Ada' }
  await first.evaluate((input) => page.session.signUp(input), input)
  const second = await tab()

  // Both tabs want new tokens, while the answer to the first one is on its way.
  let answer
  const answered = new Promise((resolve) => (answer = resolve))
  await context.route('**/graphql', async (route) => {
    if (route.request().postData()?.includes('refreshSession')) await answered
    await route.continue()
  })
  const token = await first.evaluate(() => page.session.session().accessToken)
  for (const tab of [first, second]) {
    await tab.evaluate((token) => void (page.renewed = page.session.renew(token)), token)
    if (tab === first) await until('the refresh is under way', 5_000, () => refreshed.length === 1)
  }
  answer()
  const tokens = await Promise.all([first, second].map((tab) => tab.evaluate(() => page.renewed)))
  assert.equal(tokens[0], tokens[1])
  assert.notEqual(tokens[0], token)
  assert.equal(refreshed.length, 1, 'one refresh for both')
  await context.unrouteAll()

  // Nobody waits for the lock who can see the tokens in the store already.
  const pending = await first.evaluate(async (token) => {
    await navigator.locks.request('parley-session', () => {})
    await Promise.all([page.session.renew(token), page.session.renew(token)])
    const { accessToken } = page.session.session()
    await Promise.all([page.session.renew(accessToken), page.session.renew(accessToken)])
    return (await navigator.locks.query()).pending.length
  }, token)
  assert.equal(pending, 1, 'both had the token before the second one had the lock')
  assert.equal(refreshed.length, 2)

  await second.evaluate(() => void page.open())
  const open = model.hold('Hello')
  const id = await first.evaluate(async () => (await page.send({ content: 'Hello' }, () => {})).conversation.id)
  for (const tab of [first, second]) {
    await tab.evaluate((id) => void page.enter(id), id)
    await tab.waitForFunction((text) => page.chat?.messages[1]?.content === text, beginning)
    assert.deepEqual(await shown(tab, id), ['Hello', beginning])
  }

  // Both tabs lose the same token at the same time.
  for (const tab of [first, second]) {
    await tab.waitForFunction(() => page.log.length >= 5)
    const log = await tab.evaluate(() => page.log)
    assert.deepEqual(log.slice(0, 5), ['connecting', 'connected', 'closed 4403', 'connecting', 'connected'])
  }
  assert.equal(refreshed.length, new Set(refreshed).size, 'no refresh token was used twice')
  open()
  for (const tab of [first, second]) {
    await tab.waitForFunction((text) => page.chat.messages[1].content === text, reply)
    assert.deepEqual(await shown(tab, id), ['Hello', reply])
  }

  await first.evaluate(() => page.session.signOut())
  await second.waitForFunction(() => page.users.length === 1)
  for (const tab of [first, second]) {
    await tab.waitForFunction(() => page.errors.length > 0)
    assert.deepEqual(await tab.evaluate(() => page.users), tab === first ? ['Ada', null] : [null])
    assert.equal(await tab.evaluate(() => page.session.session()), null)
  }
  assert.deepEqual(said, [])
})
