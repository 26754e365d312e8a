// The README's components for React, Vue and Svelte in headless Chromium: the same cases for each.
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { data, Parley, password, patience, send as sendMessage, signInDocument, signUp, until } from '../lib/parley.mjs'
import { serveModel } from '../lib/model.mjs'
import { launch, newPage } from './browser.mjs'
import { servePages } from './pages.mjs'

let browser, parley, pages
const ends = []

const gates = new Map()
/** Lets a reply whose question has this name behind a # go on. Until then half of it is there. */
const go = (name) => gate(name).open()
function gate(name) {
  if (!gates.has(name)) {
    let open
    const opened = new Promise((done) => (open = done))
    gates.set(name, { opened, open })
  }
  return gates.get(name)
}

async function reply({ question, say, closed }) {
  const [, name] = /#(\w+)/.exec(question) ?? []
  for (const word of `You have asked this: ${question}`.split(' ')) say(`${word} `)
  if (name) await Promise.race([gate(name).opened, closed])
  for (const word of 'The answer to it is not known.'.split(' ')) say(`${word} `)
}

before(
  async () => {
    const model = await serveModel({ after: (end) => ends.push(end) }, reply)
    parley = await Parley.start({ OPENAI_BASE_URL: model, PARLEY_SCRIPT: 'on', PARLEY_SENDS_PER_MINUTE: '0' })
    pages = await servePages(parley.url)
    browser = await launch()
  },
  { timeout: 400_000 },
)

after(async () => {
  await browser?.close()
  pages?.close()
  await parley?.close()
  ends.forEach((end) => end())
})

/** A device of a user, on a conversation or a new one. window.texts are the states of the replies on its page. */
async function device(t, name, { email }, id = '') {
  const page = await newPage(t, browser)
  const input = { email, password }
  const { refreshToken } = (await data(parley.url, signInDocument, { input })).signIn
  await page.addInitScript(
    ([token]) => {
      if (!localStorage.getItem('parley-session')) localStorage.setItem('parley-session', token)
      window.texts = []
      const replies = () => [...document.querySelectorAll('p.assistant')]
      const look = () => window.texts.push(replies().map(({ textContent }) => textContent))
      new MutationObserver(look).observe(document, { subtree: true, childList: true, characterData: true })
    },
    [refreshToken],
  )
  await page.goto(`${pages.url}/${name}#${id}`)
  await page.locator('input').waitFor()
  return page
}

const send = (page, text) => page.evaluate((text) => void chat.sendMessage({ text }), text)
/** A first question with its answer, which may be there at once. */
async function greet(page) {
  await send(page, 'Hello.')
  await page.waitForFunction(() => chat.messages[1]?.metadata?.status && chat.status === 'ready')
}

const conversationOf = (page) => page.evaluate(() => location.hash.slice(1))
const shown = (page) => page.locator('p.user, p.assistant').allTextContents()
const status = (page, status) => page.waitForFunction((status) => chat.status === status, status)
const growing = (page, n = 1) =>
  page.waitForFunction((n) => document.querySelectorAll('p.assistant')[n - 1]?.textContent.split(' ').length > 3, n)

const visible = `query ($id: ID!) { node(id: $id) { ... on Conversation { messages(last: 20) { nodes {
  id role status content siblingCount siblingPosition
} } } } }`

const onServer = async ({ token }, id) => (await data(parley.url, visible, { id }, token)).node.messages.nodes

const ended = (user, id) =>
  until('the reply is final', patience, async () => {
    const all = await onServer(user, id)
    return !['STREAMING', 'QUEUED'].includes(all.at(-1).status) && all
  })

const mutate = ({ token }, name, type, input) =>
  data(parley.url, `mutation ($input: ${type}Input!) { ${name}(input: $input) { __typename } }`, { input }, token)

/** Waits until pages show exactly what the server has, versions included. */
async function same(user, id, ...devices) {
  const all = await ended(user, id)
  const wanted = all.map(({ content }) => content)
  const versions = all.filter(({ role }) => role === 'ASSISTANT').map((m) => [m.id, m.siblingCount, m.siblingPosition])
  const isShown = ([wanted, versions]) => {
    const texts = [...document.querySelectorAll('p.user, p.assistant')].map(({ textContent }) => textContent)
    const replies = chat.messages.filter(({ role }) => role === 'assistant')
    const held = replies.map(({ id, metadata: { siblingCount, siblingPosition } }) => [
      id,
      siblingCount,
      siblingPosition,
    ])
    return JSON.stringify([texts, held]) === JSON.stringify([wanted, versions]) && chat.status === 'ready'
  }
  for (const page of devices) {
    await page.waitForFunction(isShown, [wanted, versions]).catch(async (error) => {
      assert.deepEqual(await shown(page), wanted)
      throw error
    })
  }
  return all
}

/** No character of the reply was lost or shown twice. */
async function grew(page, n = 0) {
  const texts = (await page.evaluate(() => window.texts)).flatMap((all) => all[n] || [])
  assert.ok(new Set(texts).size > 1, texts.at(-1))
  texts.reduce((before, text) => (assert.ok(text.startsWith(before), `${before}\n${text}`), text))
}

const cases = {
  async 'a reply grows; another one, and an edit, are versions on the server'(t, name) {
    const user = await signUp(parley.url)
    const page = await device(t, name, user)
    await page.locator('input').fill(`Tides. #${name}1`)
    await page.keyboard.press('Enter')
    await growing(page)
    go(`${name}1`)
    await status(page, 'ready')
    const id = await conversationOf(page)
    await same(user, id, page)
    await grew(page)

    await page.getByRole('button', { name: 'Again' }).click()
    await page.waitForFunction(() => chat.messages[1]?.metadata.siblingCount === 2)
    const [question, reply] = await same(user, id, page)
    assert.deepEqual([question.siblingCount, reply.siblingCount], [1, 2])

    await page.evaluate(() => void chat.sendMessage({ text: 'Ebb.', messageId: chat.messages[0].id }))
    await page.waitForFunction(() => chat.messages[0].metadata?.siblingCount === 2)
    const [edited] = await same(user, id, page)
    assert.deepEqual([edited.content, edited.siblingPosition], ['Ebb.', 2])
    await page.reload()
    await same(user, id, page)
    assert.deepEqual(page.faults, [])
  },

  async 'Stop stops it on the server, and the next message follows it'(t, name) {
    const user = await signUp(parley.url)
    const page = await device(t, name, user)
    await send(page, 'Tides. #never')
    await growing(page)
    await page.getByRole('button', { name: 'Stop' }).click()
    await status(page, 'ready')
    const id = await conversationOf(page)
    assert.equal((await ended(user, id)).at(-1).status, 'STOPPED')
    await same(user, id, page)
    await send(page, 'Ebb.')
    await page.locator('p.assistant').nth(1).waitFor()
    assert.equal((await same(user, id, page)).length, 4)
    assert.deepEqual(page.faults, [])
  },

  async 'a reload, a chat that is left and a closed tab stop nothing'(t, name) {
    const topic = name.replace(/\W/g, '')
    const user = await signUp(parley.url)
    const page = await device(t, name, user)
    await send(page, `Tides. #${topic}2`)
    await growing(page)
    await page.reload()
    await growing(page)
    await status(page, 'streaming')
    go(`${topic}2`)
    const id = await conversationOf(page)
    assert.equal((await same(user, id, page)).at(-1).status, 'COMPLETED')
    await grew(page)

    await send(page, `Tides. #${topic}3`)
    await growing(page, 2)
    // What the chat follows goes on until the tab is closed; what watches it does not.
    await page.evaluate(() => leave())
    await page.locator('p').first().waitFor({ state: 'detached' })
    await page.close({ runBeforeUnload: true })
    go(`${topic}3`)
    const all = await ended(user, id)
    assert.deepEqual([all.length, all.at(-1).status], [4, 'COMPLETED'])
    assert.deepEqual(page.faults, [])
  },

  async 'two devices show the same, whichever of them writes'(t, name) {
    const user = await signUp(parley.url)
    const here = await device(t, name, user)
    await greet(here)
    const id = await conversationOf(here)
    const there = await device(t, name, user, id)
    await same(user, id, here, there)

    await send(here, `Tides. #${id}`)
    await growing(there, 2)
    await status(there, 'streaming')
    go(id)
    await same(user, id, here, there)
    await grew(there, 1)

    await send(there, 'Ebb.')
    await here.getByText('Ebb.', { exact: true }).first().waitFor()
    await same(user, id, here, there)
    await there.evaluate(() => void chat.regenerate())
    await here.waitForFunction(() => chat.messages[5]?.metadata.siblingCount === 2)
    const [, , question, , , second] = await same(user, id, here, there)
    await there.evaluate(() => void chat.sendMessage({ text: 'Flood.', messageId: chat.messages[4].id }))
    await here.getByText('Flood.', { exact: true }).first().waitFor()
    await same(user, id, here, there)

    await mutate(user, 'selectBranch', 'SelectBranch', { messageId: second.id })
    await here.getByText('Ebb.', { exact: true }).first().waitFor()
    await same(user, id, here, there)
    await mutate(user, 'updateMessage', 'UpdateMessage', { messageId: question.id, content: 'The sea.' })
    await here.getByText('The sea.').waitFor()
    await mutate(user, 'deleteMessage', 'DeleteMessage', { messageId: second.id })
    await same(user, id, here, there)
    // After all that the ids are still those of the server.
    await here.evaluate(() => void chat.regenerate())
    await there.waitForFunction(() => chat.messages[5]?.metadata.siblingCount === 2)
    await same(user, id, here, there)
    assert.deepEqual([...here.faults, ...there.faults], [])
  },

  async 'while this device writes, the other changes nothing of it; what has left sees nothing'(t, name) {
    const user = await signUp(parley.url)
    const page = await device(t, name, user)
    await greet(page)
    const id = await conversationOf(page)
    const [question] = await same(user, id, page)
    await send(page, `Tides. #${id}`)
    await growing(page, 2)
    await mutate(user, 'updateMessage', 'UpdateMessage', { messageId: question.id, content: 'The sea.' })
    assert.equal(await page.evaluate(() => chat.status), 'streaming')
    go(id)
    assert.equal((await same(user, id, page))[0].content, 'The sea.')
    await grew(page, 1)
    await page.evaluate(() => leave())
    await page.waitForFunction(() => session.line.state === 'idle')
    assert.deepEqual(page.faults, [])
  },

  async 'a question that was refused stays below what is new, and again sends it once'(t, name) {
    const user = await signUp(parley.url)
    const page = await device(t, name, user)
    await greet(page)
    const id = await conversationOf(page)
    // The page does not know yet what another device has sent.
    await page.evaluate(() => leave())
    const input = { conversationId: id, content: 'Tides. #never' }
    const { reply } = await sendMessage(parley.url, user.token, input)
    await send(page, 'Ebb.')
    await page.waitForFunction(() => chat.error?.code === 'STALE_HEAD')
    assert.equal(await page.evaluate(() => chat.status), 'error')

    const texts = () =>
      page.evaluate(() => chat.messages.map(({ parts }) => parts.map(({ text = '' }) => text).join('')))
    await page.evaluate(() => void transport.watch(chat))
    await page.waitForFunction(() => chat.messages.length === 5)
    await page.evaluate(() => void chat.regenerate())
    await page.waitForFunction(() => chat.error?.code === 'CONVERSATION_BUSY')
    await mutate(user, 'stopReply', 'StopReply', { messageId: reply.id })
    await page.waitForFunction(() => chat.messages[3].metadata.status === 'STOPPED')
    const held = await texts()
    assert.deepEqual([held[2], held[4]], [input.content, 'Ebb.'])
    assert.equal(await page.evaluate(() => chat.error.code), 'CONVERSATION_BUSY')
    await page.evaluate(() => void chat.regenerate())
    await page.waitForFunction(() => chat.messages[5]?.metadata.status)
    const all = await onServer(user, id)
    assert.deepEqual(
      await texts(),
      all.map(({ content }) => content),
    )
    assert.deepEqual([all.length, page.faults], [6, []])
  },

  async 'what fails has a code'(t, name) {
    const user = await signUp(parley.url)
    const page = await device(t, name, user)
    await page.evaluate(() => void chat.sendMessage({ text: '/fail-at 3' }, { body: { model: 'script' } }))
    await page.getByRole('alert').getByText('UPSTREAM_ERROR', { exact: true }).waitFor()
    assert.equal(await page.evaluate(() => chat.error.code), 'UPSTREAM_ERROR')
    await page.evaluate(() => void chat.regenerate({ body: { model: 'script' } }))
    await page.waitForFunction(() => chat.messages[1]?.metadata.siblingCount === 2 && chat.status === 'error')
    const all = await onServer(user, await conversationOf(page))
    assert.deepEqual([all.length, all[1].siblingCount], [2, 2])
    assert.deepEqual(page.faults, [])
  },
}

for (const name of ['React', 'Vue', 'Svelte']) {
  describe(name, { concurrency: true }, () => {
    for (const [title, run] of Object.entries(cases)) test(title, (t) => run(t, name))
  })
}

test('useChat of Vue is watched as a chat is', (t) => {
  return cases['two devices show the same, whichever of them writes'](t, 'Vue, useChat')
})

test('useChat of React alone is left without a stop', (t) => {
  return cases['a reload, a chat that is left and a closed tab stop nothing'](t, 'React, useChat')
})
