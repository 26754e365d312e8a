// examples/ai-sdk, built as its README says and used in headless Chromium. PARLEY_SCREENSHOT=folder keeps pictures.
import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { mkdirSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import {
  cleanEnvironment,
  data,
  freePort,
  Parley,
  password,
  patience,
  send as sendMessage,
  signUp,
  until,
} from '../lib/parley.mjs'
import { launch, newPage } from './browser.mjs'

const folder = join(dirname(fileURLToPath(import.meta.url)), '../../examples/ai-sdk')
const vite = join(folder, 'node_modules/vite/bin/vite.js')

// environment is ours without what npm test tells its own script.
function environment(settings) {
  const inherited = Object.entries(cleanEnvironment()).filter(([name]) => !/^(npm_|INIT_CWD|NODE_ENV)/.test(name))
  return { ...Object.fromEntries(inherited), ...settings }
}

function run(command, ...args) {
  const done = spawnSync(command, args, { cwd: folder, env: environment(), encoding: 'utf8' })
  assert.equal(done.status, 0, `${command} ${args.join(' ')}\n${done.stdout}${done.stderr}`)
}

let browser, parley, preview, site

before(
  async () => {
    run('npm', 'ci', '--no-audit', '--no-fund')
    // tsc checks packages/ai-sdk with it.
    run('npm', 'run', 'build')
    parley = await Parley.start({ PARLEY_MODEL: 'script', PARLEY_SENDS_PER_MINUTE: '0' })
    const port = await freePort()
    preview = spawn(process.execPath, [vite, 'preview', '--host', '127.0.0.1', '--port', port, '--strictPort'], {
      cwd: folder,
      env: environment({ PARLEY_URL: parley.url }),
      stdio: 'ignore',
    })
    site = `http://127.0.0.1:${port}/`
    await until('the page is served', patience, () => fetch(site).catch(() => null))
    browser = await launch()
  },
  { timeout: 400_000 },
)

after(async () => {
  await browser?.close()
  preview?.kill('SIGKILL')
  await parley?.close()
})

// open is a page of a user of its own, whose console is kept.
async function open(t) {
  const user = await signUp(parley.url)
  const page = await newPage(t, browser)
  await page.goto(site)
  await page.getByLabel('Email').fill(user.email)
  await page.getByLabel('Password').fill(password)
  await page.getByRole('button', { name: 'Go' }).click()
  await page.getByLabel('Message').waitFor()
  return { page, token: user.token }
}

async function write(page, text) {
  await page.getByLabel('Message').fill(text)
  await page.keyboard.press('Enter')
}

const reply = (page) => page.locator('article.assistant p')
const growing = (page, words, reply = 0) =>
  page.waitForFunction(
    ([words, reply]) =>
      document.querySelectorAll('article.assistant')[reply]?.querySelector('p')?.textContent.split(' ').length > words,
    [words, reply],
  )
const ready = (page) => page.getByRole('button', { name: 'Regenerate' }).waitFor()

const stored = `query { viewer { conversations(first: 10) { nodes { id messages(last: 10) { nodes {
  role status content siblingCount
} } } } } }`

/** The messages of the only conversation of a user. */
async function onServer({ token }) {
  const { nodes } = (await data(parley.url, stored, {}, token)).viewer.conversations
  assert.equal(nodes.length, 1)
  return nodes[0].messages.nodes
}

const final = (user) =>
  until('the reply is final', patience, async () => {
    const last = (await onServer(user)).at(-1)
    return last.status !== 'STREAMING' && last
  })

async function picture(page, name) {
  if (!process.env.PARLEY_SCREENSHOT) return
  mkdirSync(process.env.PARLEY_SCREENSHOT, { recursive: true })
  await page.screenshot({ path: join(process.env.PARLEY_SCREENSHOT, `ai-sdk-${name}.png`) })
}

describe('useChat', { concurrency: true }, () => {
  test('a reply grows, and another one is a version beside it', async (t) => {
    const user = await open(t)
    const { page } = user
    await write(page, 'Tides. /tokens 60 /slow 20')
    await growing(page, 3)
    const early = await reply(page).textContent()
    await ready(page)
    const [question, first] = await onServer(user)
    assert.equal(question.content, 'Tides. /tokens 60 /slow 20')
    assert.ok(early.length < first.content.length && first.content.startsWith(early))
    assert.equal(await reply(page).textContent(), first.content)

    await page.getByRole('button', { name: 'Regenerate' }).click()
    await page.getByText('Version 2 of 2').waitFor()
    await picture(page, 'versions')
    const again = await onServer(user)
    assert.deepEqual([again.length, again[1].siblingCount, again[1].status], [2, 2, 'COMPLETED'])

    await page.reload()
    await page.getByText('Version 2 of 2').waitFor()
    await write(page, '/think 5 /citations')
    await page.locator('article a').first().waitFor()
    assert.equal(await page.locator('blockquote').count(), 1)
    await write(page, '/fail-at 3')
    await page.getByRole('alert').getByText('UPSTREAM_ERROR').waitFor()
    await picture(page, 'failed')
    assert.deepEqual(page.faults, [])
  })

  test('Stop stops it on the server', async (t) => {
    const user = await open(t)
    await write(user.page, 'Tides. /tokens 2000 /slow 20')
    await growing(user.page, 3)
    await picture(user.page, 'growing')
    await user.page.getByRole('button', { name: 'Stop' }).click()
    await ready(user.page)
    const { status, content } = await final(user)
    assert.equal(status, 'STOPPED')
    assert.ok(content.startsWith(await reply(user.page).textContent()))
    assert.deepEqual(user.page.faults, [])
  })

  test('a reload in the middle goes on, with every character, and can be stopped', async (t) => {
    const user = await open(t)
    const { page } = user
    await write(page, 'Tides. /tokens 200 /slow 20')
    await growing(page, 3)
    await page.reload()
    await page.getByRole('button', { name: 'Stop' }).waitFor()
    await ready(page)
    const { status, content } = await final(user)
    assert.deepEqual([status, await reply(page).textContent()], ['COMPLETED', content])
    assert.equal(await page.locator('article').count(), 2)

    await write(page, 'Again. /tokens 2000 /slow 20')
    await page.locator('article.assistant').nth(1).waitFor()
    await page.reload()
    await page.getByRole('button', { name: 'Stop' }).click()
    assert.equal((await final(user)).status, 'STOPPED')
    assert.deepEqual(page.faults, [])
  })

  test('the reply goes on when its chat is left, and when its tab is closed', async (t) => {
    const user = await open(t)
    await write(user.page, 'Tides. /tokens 120 /slow 20')
    await growing(user.page, 3)
    // React unmounts the chat, and useChat aborts.
    await user.page.getByRole('link', { name: 'New chat' }).click()
    await user.page.locator('article').first().waitFor({ state: 'detached' })
    await user.page.goBack()
    await growing(user.page, 3)
    await user.page.close({ runBeforeUnload: true })
    assert.equal((await final(user)).status, 'COMPLETED')
  })

  test('what another device sends is shown while it grows, and so is what it deletes', async (t) => {
    const user = await open(t)
    const { page, token } = user
    await write(page, 'Tides. /tokens 5')
    await ready(page)
    const conversationId = await page.evaluate(() => location.hash.slice(1))

    await sendMessage(parley.url, token, { conversationId, content: 'Ebb. /tokens 2000 /slow 20' })
    await page.locator('article.user').getByText('Ebb.').waitFor()
    await growing(page, 3, 1)
    await picture(page, 'elsewhere')
    // It is stopped from here as if it had been sent here.
    await page.getByRole('button', { name: 'Stop' }).click()
    assert.equal((await final(user)).status, 'STOPPED')
    await ready(page)
    await write(page, 'Flood. /tokens 5')
    await page.locator('article').nth(5).waitFor()
    await ready(page)
    // useChat has cut the text where it was stopped. watch() reads the rest when nothing is written any more.
    const texts = (await onServer(user)).map(({ content }) => content)
    const last = texts.at(3).slice(-40)
    await page.locator('article p').nth(3).getByText(last).waitFor()
    assert.deepEqual(await page.locator('article p').allTextContents(), texts)

    const deletion = 'mutation ($id: ID!) { deleteConversation(input: { conversationId: $id }) { __typename } }'
    await data(parley.url, deletion, { id: conversationId }, token)
    await page.getByRole('alert').getByText('This conversation was deleted.').waitFor()
    await page.reload()
    await page.getByRole('alert').waitFor()
    assert.notEqual(await page.getByRole('alert').textContent(), '')
    await page.getByRole('link', { name: 'New chat' }).click()
    await page.getByLabel('Message').waitFor()
    assert.deepEqual(page.faults, [])
  })
})
