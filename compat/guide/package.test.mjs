// The block of docs/clients.md with @parley/client: two questions, the second while the first is answered.
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath, pathToFileURL } from 'node:url'
import WebSocket from 'ws'
import { Parley, password } from '../lib/parley.mjs'
import { beginning, here, reply, startModel, write } from './guide.mjs'

// install compiles the package to where a project has it.
function install(project) {
  const from = join(here, '../../packages/client')
  const to = join(project, 'node_modules/@parley/client')
  mkdirSync(to, { recursive: true })
  copyFileSync(join(from, 'package.json'), join(to, 'package.json'))
  const tsc = fileURLToPath(import.meta.resolve('typescript/bin/tsc'))
  const run = spawnSync(process.execPath, [tsc, '-p', from, '--outDir', join(to, 'dist')], { encoding: 'utf8' })
  assert.equal(run.status, 0, run.stdout)
}

test('a chat with the package', async (t) => {
  const project = mkdtempSync(join(tmpdir(), 'parley-guide-'))
  t.after(() => rmSync(project, { recursive: true, force: true }))
  const model = await startModel(t)
  const parley = await Parley.start({ OPENAI_BASE_URL: model.baseURL })
  t.after(() => parley.close())
  install(project)
  writeFileSync(join(project, 'package.json'), '{"type":"module"}')
  write(project, parley.url)
  const held = new Map()
  globalThis.localStorage = {
    getItem: (key) => held.get(key) ?? null,
    setItem: (key, value) => held.set(key, value),
    removeItem: (key) => held.delete(key),
  }
  globalThis.WebSocket = WebSocket
  const { follow, say, user } = await import(pathToFileURL(join(project, 'package/chat.js')))
  t.after(() => user.close())

  await user.signUp({ email: `${crypto.randomUUID()}@example.com`, password })
  const go = model.hold('first')
  const id = await say('first')
  const abort = new AbortController()
  const shown = []
  let queued
  await follow(
    id,
    ({ messages }) => {
      shown.push(messages.map(({ content }) => content))
      if (messages.at(-1).content === beginning) queued ??= say('second', id).then(go)
      if (messages.length === 4 && messages.at(-1).status === 'COMPLETED') abort.abort()
    },
    abort.signal,
  )

  await queued
  assert.deepEqual(shown.at(-1), ['first', reply, 'second', reply])
  for (const [, text = ''] of shown) assert.ok(reply.startsWith(text), text)
})
