// What README.md shows from a frontend, run as it stands there. Its commands: shells.test.mjs.
import assert from 'node:assert/strict'
import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import WebSocket from 'ws'
import { readMessage, serverURL, signUp } from '../lib/parley.mjs'

const url = serverURL()
const here = dirname(fileURLToPath(import.meta.url))
const readme = readFileSync(join(here, '../../README.md'), 'utf8')

// block returns the code in a language that holds a text, for the server of this test.
function block(language, text) {
  const blocks = [...readme.matchAll(new RegExp('^```' + language + '\\n(.*?)^```$', 'gms'))].map(([, code]) => code)
  const code = blocks.find((code) => code.includes(text))
  assert.ok(code, `README.md has no block of ${language} with ${text}`)
  assert.ok(code.includes('127.0.0.1:8080'), `it does not name the server: ${code}`)
  return code.replaceAll('127.0.0.1:8080', new URL(url).host)
}

test('the code of "From a frontend"', { timeout: 600_000 }, async (t) => {
  const user = await signUp(url)
  globalThis.accessToken = async () => user.token
  globalThis.WebSocket ??= WebSocket // Node 20 has none of its own.
  const file = join(here, `readme-${process.pid}.gen.mjs`)
  t.after(() => rmSync(file))
  writeFileSync(file, `${block('js', 'graphql-ws')}\nexport const dispose = client.dispose\n`)
  const { send, follow, dispose } = await import(file)
  t.after(dispose)

  const { reply } = await send('I need a chat backend')
  const shown = []
  await new Promise((resolve) =>
    follow(reply.id, (content, status) => {
      shown.push(content)
      if (status === 'COMPLETED') resolve()
    }),
  )

  const { content } = await readMessage(url, user.token, reply.id)
  assert.equal(shown.at(-1), content)
  assert.ok(shown.length > 5, `want a text that grows, got ${JSON.stringify(shown)}`)
  for (const text of shown) assert.ok(content.startsWith(text), `no beginning of the reply: ${text}`)
  await assert.rejects(send(''), ({ extensions }) => extensions.code === 'BAD_USER_INPUT')
})
