// What is published: how large it is, what it depends on, the types of the schema, and the README.
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { gzipSync } from 'node:zlib'
import { rolldown } from 'rolldown'
import { cleanEnvironment, serverURL } from '../lib/parley.mjs'
import { dist, folder } from './client.mjs'

// The four functions and what they need; the other two stores, Refused and turns() are for those who import them.
const four = ['session', 'send', 'follow', 'open']
const most = { four: 4_310, all: 4_570 }
const read = (name) => readFileSync(join(folder, name), 'utf8')

// As Vite does it.
async function sizes(names) {
  const path = JSON.stringify(join(dist, 'index.js'))
  const page = { name: 'page', resolveId: (id) => (id === 'page' ? id : null), load: (id) => source(id) }
  const source = (id) => (id === 'page' ? `export ${names ? `{ ${names} }` : '*'} from ${path}` : null)
  const bundle = await rolldown({ input: 'page', plugins: [page] })
  const { output } = await bundle.generate({ format: 'esm', minify: true })
  return output.map(({ code }) => gzipSync(code, { level: 9 }).length)
}

test('what a page loads is small', async () => {
  for (const [names, bytes] of [
    [four, most.four],
    [null, most.all],
  ]) {
    // Server-Sent Events are for where there is no WebSocket.
    const [entry, ...lazy] = await sizes(names)
    assert.equal(lazy.length, 1)
    assert.ok(entry <= bytes, `${names ?? 'all'}: ${entry} bytes, and ${lazy} by need`)
  }
})

test('it depends on nothing, and comes with types and its licence', () => {
  const { dependencies, peerDependencies, files, exports } = JSON.parse(read('package.json'))
  assert.deepEqual([dependencies, peerDependencies], [undefined, undefined])
  assert.doesNotMatch(read('package-lock.json'), /"resolved"/)
  assert.equal(read('LICENSE'), readFileSync(join(folder, '../../LICENSE'), 'utf8'))
  for (const name of files.filter((name) => name !== 'dist')) assert.ok(existsSync(join(folder, name)), name)
  const built = readdirSync(dist)
  assert.ok(built.includes(exports['.'].types.replace('./dist/', '')))
  assert.ok(built.includes(exports['.'].default.replace('./dist/', '')))
})

test('src/schema.ts is what schema.mjs makes of the SDL', (t) => {
  const out = mkdtempSync(join(tmpdir(), 'parley-schema-'))
  t.after(() => rmSync(out, { recursive: true }))
  const run = spawnSync(process.execPath, [join(folder, 'schema.mjs'), join(out, 'schema.ts')], { encoding: 'utf8' })
  assert.equal(run.status, 0, run.stderr)
  assert.equal(readFileSync(join(out, 'schema.ts'), 'utf8'), read('src/schema.ts'), 'run "npm run schema"')
})

test('the lines of the README run', (t) => {
  const [, lines] = /```js\n([^]*?)```/.exec(read('README.md'))
  const project = mkdtempSync(join(tmpdir(), 'parley-readme-'))
  t.after(() => rmSync(project, { recursive: true }))
  const installed = join(project, 'node_modules/@parley/client')
  mkdirSync(installed, { recursive: true })
  symlinkSync(dist, join(installed, 'dist'))
  writeFileSync(join(installed, 'package.json'), read('package.json'))
  writeFileSync(join(project, 'main.mjs'), lines.replace('http://127.0.0.1:8080', serverURL()))

  const run = spawnSync(process.execPath, ['main.mjs'], { cwd: project, env: cleanEnvironment(), encoding: 'utf8' })

  assert.equal(run.status, 0, run.stderr)
  const printed = run.stdout.trim().split('\n')
  assert.equal(printed.at(-1), 'COMPLETED')
  assert.ok(printed.length > 3, run.stdout)
})
