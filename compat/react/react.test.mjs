// The chat of examples/react, built as its README says and used in headless Chromium.
// The model server is ours, and says what a test tells it to. PARLEY_SCREENSHOT=folder
// keeps pictures.
import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { chromium } from 'playwright-core'
import { serveModel } from '../lib/model.mjs'
import {
  call as post,
  cleanEnvironment,
  data,
  freePort,
  Parley,
  password,
  send,
  signInDocument,
  until,
} from '../lib/parley.mjs'

const folder = join(dirname(fileURLToPath(import.meta.url)), '../../examples/react')
const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')
const vite = join(folder, 'node_modules/vite/bin/vite.js')
const builds = mkdtempSync(join(tmpdir(), 'parley-react-'))
const limit = 20_000

let browser

before(
  async () => {
    run('npm', 'ci', '--no-audit', '--no-fund')
    run('npm', 'run', 'build', '--', '--outDir', join(builds, 'production'))
    // With the warnings of React and Apollo.
    run(process.execPath, vite, 'build', '--mode', 'development', '--outDir', join(builds, 'development'))
    browser = await chromium.launch({
      executablePath: process.env.CHROMIUM || '/usr/bin/chromium',
      args: ['--no-sandbox', '--disable-dev-shm-usage'],
    })
  },
  { timeout: 400_000 },
)

after(async () => {
  await browser?.close()
  rmSync(builds, { recursive: true, force: true })
})

// environment is ours without what npm test tells its own script.
function environment(settings) {
  const inherited = Object.entries(cleanEnvironment()).filter(([name]) => !/^(npm_|INIT_CWD|NODE_ENV)/.test(name))
  return { ...Object.fromEntries(inherited), ...settings }
}

function run(command, ...args) {
  const mode = args.includes('development') ? { NODE_ENV: 'development' } : {}
  const done = spawnSync(command, args, { cwd: folder, env: environment(mode), encoding: 'utf8' })
  assert.equal(done.status, 0, `${command} ${args.join(' ')}\n${done.stdout}${done.stderr}`)
}

// Model answers "Yes." at once, or what a test says to a question that it holds.
class Model {
  #held = new Map()

  static async start(t) {
    const model = new Model()
    model.baseURL = await serveModel(t, (call) => model.#answer(call))
    return model
  }

  // hold returns the calls for a question, one after the other as they come.
  hold(question) {
    const calls = []
    let wake = () => {}
    this.#held.set(question, (call) => (calls.push(call), wake()))
    return async () => {
      while (calls.length === 0) await new Promise((resolve) => (wake = resolve))
      return calls.shift()
    }
  }

  #answer({ question, say }) {
    const held = this.#held.get(question)
    if (!held) return say('Yes.')
    return new Promise((end) => held({ say, end }))
  }
}

// setup starts a model, Parley and the page's server, as "npm run preview" does.
async function setup(t, { build = 'development', ...settings } = {}) {
  const model = await Model.start(t)
  const parley = await Parley.start({
    OPENAI_BASE_URL: model.baseURL,
    PARLEY_LEASE: '3s',
    PARLEY_SENDS_PER_MINUTE: '0',
    ...settings,
  })
  t.after(() => parley.close())
  const port = await freePort()
  const preview = spawn(
    process.execPath,
    [vite, 'preview', '--host', '127.0.0.1', '--port', port, '--strictPort', '--outDir', join(builds, build)],
    { cwd: folder, env: environment({ PARLEY_URL: parley.url }), stdio: 'ignore' },
  )
  t.after(() => preview.kill('SIGKILL'))
  const site = `http://127.0.0.1:${port}/`
  await until('the page is served', limit, () => fetch(site).catch(() => null))
  return { model, parley, site }
}

// open is a page on a device of its own, or in another tab of one. What its console
// says in warnings and errors is kept.
async function open(t, site, { context, width = 1200, height = 800, colorScheme = 'light' } = {}) {
  let page
  if (!context) {
    context = await browser.newContext({ viewport: { width, height }, colorScheme, reducedMotion: 'reduce' })
    t.after(() => context.close())
  }
  page = await context.newPage()
  page.setDefaultTimeout(limit)
  page.faults = []
  page.on('console', (message) => {
    if (['warning', 'error'].includes(message.type())) page.faults.push(message.text())
  })
  page.on('pageerror', (error) => page.faults.push(`uncaught: ${error.message}`))
  await page.goto(site)
  return page
}

async function signUp(page, name = 'Ada') {
  const email = `${crypto.randomUUID()}@example.com`
  await page.getByRole('button', { name: 'I am new here' }).click()
  await page.getByLabel('Name').fill(name)
  await fill(page, email)
  await page.getByRole('button', { name: 'Sign up' }).click()
  await page.getByRole('heading', { name: 'New chat' }).waitFor({ state: 'attached' })
  return email
}

async function fill(page, email, secret = password) {
  await page.getByLabel('Email').fill(email)
  await page.getByLabel('Password').fill(secret)
}

async function signIn(page, email) {
  await fill(page, email)
  await page.getByRole('button', { name: 'Sign in' }).click()
  await page.getByRole('navigation').waitFor({ state: 'attached' })
}

const tokenOf = (page) => page.evaluate(() => JSON.parse(localStorage.getItem('parley-session')).accessToken)

async function write(page, text) {
  await page.getByLabel('Message', { exact: true }).fill(text)
  await page.keyboard.press('Enter')
}

const row = (page, name) => page.getByRole('navigation').getByRole('link', { name })
const reply = (page, status) => page.locator(`article.reply[data-status=${status}]`)

async function picture(page, name) {
  if (!process.env.PARLEY_SCREENSHOT) return
  mkdirSync(process.env.PARLEY_SCREENSHOT, { recursive: true })
  await page.screenshot({ path: join(process.env.PARLEY_SCREENSHOT, `${name}.png`) })
}

// accessible looks for what axe finds, in both themes.
async function accessible(page, name) {
  for (const colorScheme of ['light', 'dark']) {
    await page.emulateMedia({ colorScheme })
    await picture(page, `${name}-${colorScheme}`)
    const rules = colorScheme === 'light' ? {} : { runOnly: ['color-contrast'] }
    const { violations } = await page.evaluate(`(() => { ${axe}; return axe.run(${JSON.stringify(rules)}) })()`)
    const found = violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(' ')}`)
    assert.deepEqual(found, [], `${name}, ${colorScheme}`)
  }
}

const markdown = `## Tides

The sea **rises** twice a day, because of the [moon](https://example.com/moon):

| Place | Height |
|---|---|
| Bay of Fundy | 16 m |
| Naples | 0.3 m |

1. High water
2. Low water

\`\`\`js
const period = 12.42 // hours
\`\`\`

> Time and tide wait for no man.

<script>document.title = 'owned'</script> <img src=x onerror="document.title = 'owned'"> ![](https://example.com/pixel.png)
`

describe('the chat', { concurrency: true }, () => {
  test('a chat from sign-up to a second device', async (t) => {
    const { model, parley, site } = await setup(t)
    const page = await open(t, site)
    await accessible(page, 'sign-in')

    // What is wrong is said beside the field.
    await fill(page, 'ada@example.com', 'short')
    await page.getByRole('button', { name: 'I am new here' }).click()
    await fill(page, 'ada@example.com', 'short')
    await page.getByRole('button', { name: 'Sign up' }).click()
    await page.getByText('Password must have at least 8 characters.').waitFor()
    await page.getByRole('button', { name: 'I have an account' }).click()
    const email = await signUp(page)
    await picture(page, 'new')

    // The message is there before the server has answered, and once.
    const calls = model.hold('Tell me about tides')
    await write(page, 'Tell me about tides')
    const call = await calls()
    await page.getByText('Thinking').waitFor()
    call.say(markdown.slice(0, 20))
    await page.getByText('The sea').waitFor()
    const half = markdown.slice(20, markdown.indexOf('rises') + 3) // in the middle of **
    call.say(half)
    await page.locator('strong', { hasText: 'ris' }).waitFor()
    assert.equal(await page.locator('article.user').count(), 1)

    // A second device, a phone: the list says that a reply is being written, and the chat shows it.
    const phone = await open(t, site, { width: 390, height: 844 })
    await signIn(phone, email)
    await row(phone, 'Tell me about tides').waitFor()
    await row(phone, 'Tell me about tides').getByRole('img', { name: 'A reply is being written' }).waitFor()
    await accessible(phone, 'phone-list')
    await row(phone, 'Tell me about tides').click()
    await phone.locator('strong', { hasText: 'ris' }).waitFor()
    call.say(markdown.slice(20 + half.length))
    for (const device of [page, phone]) await device.getByText('Time and tide wait').waitFor()
    await accessible(page, 'growing')
    call.end()
    for (const device of [page, phone]) {
      await reply(device, 'COMPLETED').waitFor()
      await row(device, 'Tell me about tides').getByRole('img').waitFor({ state: 'detached' })
    }
    await page.getByText("document.title = 'owned'").first().waitFor()
    assert.equal(await page.locator('article script, article img').count(), 0)
    assert.equal(await page.title(), 'Tell me about tides · Parley')
    await accessible(phone, 'phone')
    assert.ok(await phone.evaluate(() => document.documentElement.scrollWidth <= innerWidth), 'fits 390 px')

    // What one sends the other sees; a second message waits; both can be stopped.
    const long = model.hold('And the moon?')
    await write(phone, 'And the moon?')
    ;(await long()).say('It circles')
    await page.getByText('It circles').waitFor()
    await write(page, 'And the sun?')
    await page.getByText('Waits for the reply before it').waitFor()
    await picture(page, 'queue')
    await page.getByRole('button', { name: 'Cancel' }).click()
    await page.getByRole('button', { name: 'Stop' }).click()
    for (const device of [page, phone]) {
      await reply(device, 'STOPPED').first().waitFor()
      await device.getByText('Cancelled').waitFor()
    }

    await page.reload()
    await page.getByText('It circles').waitFor()
    const texts = await page.locator('article').allTextContents()
    assert.deepEqual(
      [texts.length, texts[0], texts[2], texts[3]],
      [6, 'Tell me about tides', 'And the moon?', 'It circlesStopped'],
    )

    // The session is ended elsewhere: a sentence says so. The phone has a session of its own.
    await data(parley.url, 'mutation { signOut { signedOut } }', {}, await tokenOf(page))
    await page.getByText('You are signed out').waitFor()
    assert.ok(await phone.getByRole('main').getByText('It circles').isVisible())
    assert.deepEqual([page.faults, phone.faults], [[], []])
  })

  test('a reply that is written again, and its versions on both devices', async (t) => {
    const { parley, site } = await setup(t)
    const page = await open(t, site)
    const email = await signUp(page)
    await write(page, 'Hello there')
    await reply(page, 'COMPLETED').waitFor()
    const phone = await open(t, site, { width: 390, height: 844 })
    await signIn(phone, email)
    await row(phone, 'Hello there').click()
    await reply(phone, 'COMPLETED').waitFor()
    const versions = (device) => device.getByRole('group', { name: 'Versions' })
    const show = (text) => Promise.all([page, phone].map((one) => versions(one).getByText(text).waitFor()))

    await page.getByRole('button', { name: 'Regenerate' }).click()
    await show('2/2')
    await reply(phone, 'COMPLETED').waitFor()
    await write(phone, 'And then?')
    await page.waitForFunction(() => document.querySelectorAll('article').length === 4)
    await reply(page, 'COMPLETED').nth(1).waitFor()
    await accessible(page, 'versions')

    // The line gets shorter, and goes on as it was left.
    await page.getByRole('button', { name: 'Version before' }).click()
    await show('1/2')
    for (const device of [page, phone]) assert.equal(await device.locator('article').count(), 2)
    await phone.getByRole('button', { name: 'Version behind' }).click()
    await show('2/2')
    for (const device of [page, phone]) {
      await device.waitForFunction(() => document.querySelectorAll('article').length === 4)
    }

    // Of many messages the earlier ones are loaded. Those of another branch do not stay above it.
    const { signIn: session } = await data(parley.url, signInDocument, { input: { email, password } })
    const ask = async (query, input) => data(parley.url, query, { input }, session.accessToken)
    const { conversations } = await ask('{ conversations { nodes { id messages { nodes { id } } } } }')
    const [{ id: conversationId, messages }] = conversations.nodes
    const add = 'mutation ($input: AddMessagesInput!) { addMessages(input: $input) { conversation { id } } }'
    const turns = (what) =>
      Array.from({ length: 80 }, (_, i) => ({ role: i % 2 ? 'ASSISTANT' : 'USER', content: `${what} ${i}` }))
    const branch = { conversationId, afterMessageId: messages.nodes[1].id }
    await ask(add, { ...branch, messages: turns('Old') })
    await page.getByText('Old 79').waitFor()
    await page.locator('article').first().scrollIntoViewIfNeeded()
    await page.waitForFunction(() => document.querySelectorAll('article').length === 82)
    await ask(add, { ...branch, messages: turns('New') })
    await page.getByText('New 79').waitFor()
    assert.equal(await page.getByText(/^Old/).count(), 0)
    assert.deepEqual([page.faults, phone.faults], [[], []])
  })

  test('both lists are endless, and their order changes', async (t) => {
    const { parley, site } = await setup(t)
    const page = await open(t, site)
    const email = await signUp(page)
    const token = (await data(parley.url, signInDocument, { input: { email, password } })).signIn.accessToken
    const create = `mutation ($name: String) { createConversation(input: {name: $name}) { conversation { id } } }`
    const ids = []
    for (let i = 0; i < 75; i++)
      ids.push((await data(parley.url, create, { name: `Topic ${i}` }, token)).createConversation.conversation.id)
    for (let i = 0; i < 30; i++)
      await send(parley.url, token, { conversationId: ids[0], content: `Question ${i}`, wait: true })
    const network = await breakable(page)
    await page.reload()

    // The sidebar: pages of 30, loaded as they come near.
    const names = page.locator('.rows .name')
    await row(page, 'Topic 74').waitFor()
    assert.ok((await names.count()) < 75)
    for (const name of ['Topic 50', 'Topic 20', 'Topic 1'])
      await scrolledTo(page, row(page, name).and(exact(page, name)))
    const order = ['Topic 0', ...Array.from({ length: 74 }, (_, i) => `Topic ${74 - i}`)]
    assert.deepEqual(await names.allTextContents(), order)
    await picture(page, 'list')

    // A message elsewhere moves a conversation to the front, and a new one comes before it.
    await send(parley.url, token, { conversationId: ids[5], content: 'Up', wait: true })
    await page.waitForFunction(() => document.querySelector('.rows .name').textContent === 'Topic 5')
    await send(parley.url, token, { content: 'Something new', wait: true })
    await page.waitForFunction(() => document.querySelector('.rows .name').textContent === 'Something new')
    assert.equal(await names.count(), 76)
    const remove = `mutation ($id: ID!) { deleteConversation(input: {conversationId: $id}) { conversationId } }`
    await data(parley.url, remove, { id: ids[5] }, token)
    await exact(page, 'Topic 5').waitFor({ state: 'detached' })

    // The chat: 60 messages, the last 50 first, and older ones above without a jump.
    await row(page, 'Topic 0').click()
    const question = (i) => page.locator('article.user', { hasText: new RegExp(`^Question ${i}$`) })
    await question(29).waitFor()
    const watched = question(6)
    await page.evaluate(() => {
      const watched = [...document.querySelectorAll('article.user')].find((e) => e.textContent === 'Question 6')
      document.querySelector('.log').addEventListener('scroll', () => (globalThis.scrolled = true))
      globalThis.place = () => watched.getBoundingClientRect().top
    })
    assert.equal(await question(3).count(), 0)
    await watched.evaluate((element) => element.scrollIntoView({ block: 'start' }))
    const before = await page.evaluate(() => place())
    await question(0).waitFor({ state: 'attached' })
    assert.ok(Math.abs((await page.evaluate(() => place())) - before) < 2, 'what is read stays in its place')
    assert.equal(await page.locator('article').count(), 60)
    await accessible(page, 'older')

    // Much happens while the connection is gone. Then both lists are again what they are at the server.
    await network.cut()
    await data(parley.url, remove, { id: ids[10] }, token)
    await data(parley.url, create, { name: 'Made meanwhile' }, token)
    for (let i = 30; i < 60; i++)
      await send(parley.url, token, { conversationId: ids[0], content: `Question ${i}`, wait: true })
    await network.mend()
    await question(59).waitFor()
    await exact(page, 'Topic 10').waitFor({ state: 'detached' })
    assert.deepEqual(await names.allTextContents(), [
      ...['Topic 0', 'Made meanwhile', 'Something new'],
      ...order.slice(1).filter((name) => !['Topic 5', 'Topic 10'].includes(name)),
    ])
    const asked = () => page.locator('article.user').allTextContents()
    for (let first; (first = (await asked())[0]) !== 'Question 0'; ) {
      await page.locator('article').first().scrollIntoViewIfNeeded()
      await page.waitForFunction((first) => document.querySelector('article.user').textContent !== first, first)
    }
    assert.deepEqual(
      await asked(),
      Array.from({ length: 60 }, (_, i) => `Question ${i}`),
    )
    assert.deepEqual(page.faults, [])
  })

  test('a feed that is refused for a while begins again', async (t) => {
    const { site } = await setup(t, { build: 'production', PARLEY_SUBSCRIPTIONS_PER_USER: '2' })
    const page = await open(t, site)
    const email = await signUp(page)
    await write(page, 'Hello')
    await reply(page, 'COMPLETED').waitFor()
    const other = await open(t, site)
    const refused = other
      .waitForEvent('websocket')
      .then((socket) => socket.waitForEvent('framereceived', ({ payload }) => payload.includes('RATE_LIMITED')))
    await signIn(other, email)
    await refused
    await page.close()
    await row(other, 'Hello').waitFor()
  })

  test('a send that fails is tried again with its key', async (t) => {
    const { parley, site } = await setup(t, { build: 'production' })
    const page = await open(t, site)
    await signUp(page)
    const keys = []
    let lost = 0
    await page.route('**/graphql', async (route) => {
      const { operationName, variables } = route.request().postDataJSON()
      if (operationName !== 'Send') return route.continue()
      keys.push(variables.input.clientKey)
      if (keys.length === 1) {
        const extensions = { code: 'OVERLOADED', retryAfter: 1 }
        return route.fulfill({
          json: { errors: [{ message: 'The server is busy. Try again in 1 second.', extensions }] },
        })
      }
      if (keys.length === 2) {
        await route.fetch() // The server has it, and the answer is lost.
        lost++
        return route.abort()
      }
      return route.continue()
    })

    await write(page, 'Hello there')
    await page.getByText('The server is busy').waitFor()
    await picture(page, 'busy')
    await page.getByText('The server cannot be reached').waitFor()
    assert.equal(lost, 1)
    await accessible(page, 'failed')
    await page.getByRole('button', { name: 'Try again' }).click()
    await reply(page, 'COMPLETED').waitFor()
    assert.deepEqual(await page.locator('article').allTextContents(), ['Hello there', 'Yes.'])
    assert.deepEqual([keys.length, new Set(keys).size], [3, 1])

    // A refusal that will not pass says why, and nothing is lost.
    await write(page, 'x'.repeat(40_000))
    await page.getByRole('alert').getByText('Content').waitFor()
    await page.getByRole('button', { name: 'Discard' }).click()

    // The server goes away: what is sent meanwhile goes out when it is back.
    await parley.kill()
    await page.getByText('Connecting').waitFor()
    await write(page, 'Are you there?')
    await page.getByText('The server cannot be reached').waitFor()
    await parley.start()
    await until('the reply', limit, async () => (await reply(page, 'COMPLETED').count()) === 2)
    assert.deepEqual(await page.locator('article').allTextContents(), ['Hello there', 'Yes.', 'Are you there?', 'Yes.'])
    await page.getByText('Connecting').waitFor({ state: 'detached' })
  })

  test('the server is killed in the middle of a reply and comes back', async (t) => {
    const { model, parley, site } = await setup(t)
    const page = await open(t, site)
    await signUp(page)
    const calls = model.hold('Tell me a story')
    await write(page, 'Tell me a story')
    ;(await calls()).say('Once upon')
    await page.getByText('Once upon').waitFor()

    await parley.kill()
    await page.getByText('Connecting').waitFor()
    await parley.start()
    const call = await calls()
    call.say('Once upon a time')
    await page.getByText('Once upon a time').waitFor()
    call.say(' there was an end.')
    call.end()
    await reply(page, 'COMPLETED').getByText('Once upon a time there was an end.', { exact: true }).waitFor()
    assert.equal(await page.locator('article').count(), 2)
  })

  test('a reply in every state that the model script brings about', async (t) => {
    const { parley, site } = await setup(t, { PARLEY_MODEL: 'script', PARLEY_ON_CRASH: 'interrupt' })
    const page = await open(t, site)
    await signUp(page)
    const last = page.locator('article.reply').last()
    const ends = async (message, status) => {
      const count = await page.locator('article.reply').count()
      await write(page, message)
      await page.waitForFunction((n) => document.querySelectorAll('article.reply').length > n, count)
      await last.and(reply(page, status)).waitFor()
    }

    // One that fails keeps its text, and says why.
    await ends('Tides. /fail-at 5', 'FAILED')
    await last.getByText('Tides. The harbour lies still').waitFor()
    await last.getByText('The model server failed in the middle of the reply.').waitFor()
    await ends('/refuse', 'FAILED')
    await last.getByText('The model server refuses to answer this.').waitFor()
    await ends('/error quota', 'FAILED')
    await last.getByText('The account at the model server is used up.').waitFor()
    await accessible(page, 'failed-replies')

    // One that thinks is stopped, and so is one that says nothing more; what waits behind it goes on.
    await ends('/think 2m', 'STREAMING')
    await last.getByText('Thinking').waitFor()
    await page.getByRole('button', { name: 'Stop' }).click()
    await last.and(reply(page, 'STOPPED')).waitFor()
    await ends('/hang 5', 'STREAMING')
    await last.getByText('The harbour lies still in').waitFor()
    await ends('Is it still so? /slow 0', 'QUEUED')
    await picture(page, 'queued')
    await page.getByRole('button', { name: 'Stop' }).click()
    await last.and(reply(page, 'COMPLETED')).getByText('Is it still so?').waitFor()

    // All that a model may write, and much of it.
    await ends('/markdown /code /math /rtl /emoji /slow 2', 'COMPLETED')
    assert.equal(await page.locator('article script, article img').count(), 0)
    assert.notEqual(await page.title(), 'owned')
    assert.equal(await last.locator('a[href^="javascript:"]').count(), 0)
    await picture(page, 'everything')
    await ends('/long 200 /slow 0', 'COMPLETED')
    await page.waitForFunction(
      () => [...document.querySelectorAll('article.reply')].at(-1).textContent.length > 200 * 1000,
    )
    assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), 'nothing is too wide')

    // The server dies in the middle of one, and does not write it again.
    await ends('/tokens 500 /slow 100', 'STREAMING')
    await last.getByText('The harbour lies').waitFor()
    await parley.kill()
    await parley.start()
    await last.and(reply(page, 'INTERRUPTED')).getByText('The server restarted in the middle of the reply.').waitFor()
    assert.deepEqual(
      page.faults.filter((fault) => !fault.includes('WebSocket') && !fault.includes('Failed to load resource')),
      [],
    )
  })

  test('tokens end while two tabs are open: one renews, nobody sees it', async (t) => {
    const { model, parley, site } = await setup(t, { PARLEY_ACCESS_TTL: '3s' })
    const page = await open(t, site)
    const tab = await open(t, site, { context: page.context() })
    const used = []
    page.context().on('request', (request) => {
      if (request.postData()?.includes('refreshSession')) used.push(request.postDataJSON().variables.input.refreshToken)
    })
    const sockets = new Map([page, tab].map((each) => [each, 0]))
    const gaps = []
    for (const each of [page, tab]) {
      let closed
      each.on('websocket', (socket) => {
        sockets.set(each, sockets.get(each) + 1)
        if (closed) gaps.push(Date.now() - closed)
        socket.on('close', () => (closed = Date.now()))
      })
    }
    await signUp(page)
    await tab.getByRole('heading', { name: 'New chat' }).waitFor() // The tab beside it is signed in, too.
    const calls = model.hold('Count')
    await write(page, 'Count')
    const call = await calls()
    await row(tab, 'Count').click()
    let n = 0
    // Until both have come back twice, and something was said after that.
    for (let more = 2; more > 0; more -= Math.min(...sockets.values()) > 2) {
      call.say(` ${++n}`)
      for (const each of [page, tab]) await each.getByText(new RegExp(`(^|\\s)${n}$`)).waitFor()
    }
    call.end()
    const text = Array.from({ length: n }, (_, i) => i + 1).join(' ')
    for (const each of [page, tab]) await reply(each, 'COMPLETED').getByText(text, { exact: true }).waitFor()
    assert.ok(Math.min(...gaps) < 200, `comes back at once, not after ${gaps} ms`)
    assert.ok(used.length >= 2, 'the tokens have ended')
    assert.equal(new Set(used).size, used.length, 'a refresh token is used once')

    // Signing out in one tab is signing out in all, and at the server.
    const token = await tokenOf(page)
    await page.getByRole('button', { name: 'Sign out' }).click()
    await tab.getByText('You are signed out').waitFor()
    await page.getByRole('heading', { name: 'Welcome back' }).waitFor()
    const over = async () => (await post(parley.url, '{ viewer { id } }', {}, token)).errors?.[0].extensions.code
    await until('the session is over', limit, async () => (await over()) === 'UNAUTHENTICATED')
    assert.deepEqual([page.faults, tab.faults], [[], []])
  })
})

// breakable lets a test cut the sockets of a page that is loaded after it.
async function breakable(page) {
  const sockets = new Set()
  let broken = false
  await page.routeWebSocket('**/graphql', (socket) => {
    if (broken) return socket.close({ code: 1013 })
    socket.connectToServer()
    sockets.add(socket)
  })
  return {
    async cut() {
      broken = true
      for (const socket of sockets) await socket.close({ code: 1013 })
    },
    async mend() {
      broken = false
      await page.evaluate(() => dispatchEvent(new Event('online')))
    },
  }
}

const exact = (page, name) => page.getByRole('navigation').getByRole('link', { name, exact: true })

// scrolledTo scrolls the list until an entry is there.
async function scrolledTo(page, entry) {
  while (!(await entry.count())) {
    const held = await page.locator('.rows li').count()
    await page.locator('.rows li').last().scrollIntoViewIfNeeded()
    await page.waitForFunction((held) => document.querySelectorAll('.rows li').length > held, held)
  }
}
