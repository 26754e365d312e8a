// What is committed in examples/ is short, complete and as it is generated.
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { cleanEnvironment } from '../lib/parley.mjs'

const folder = join(dirname(fileURLToPath(import.meta.url)), '../../examples')
const programs = readdirSync(folder, { withFileTypes: true })
  .filter((entry) => entry.isDirectory())
  .map(({ name }) => name)
const noGo = spawnSync('go', ['version']).status !== 0 && 'go is not installed'

test('each program has a README of at most 25 lines, and the index names it', () => {
  const index = readFileSync(join(folder, 'README.md'), 'utf8')
  for (const name of programs) {
    const lines = readFileSync(join(folder, name, 'README.md'), 'utf8').split('\n').length - 1
    assert.ok(lines <= 25, `${name}/README.md has ${lines} lines`)
    assert.ok(index.includes(`[${name}](${name})`), `README.md does not name ${name}`)
  }
})

test('versions are exact, and lock files name no registry', () => {
  for (const name of programs.filter((name) => existsSync(join(folder, name, 'package.json')))) {
    const { dependencies = {}, devDependencies = {} } = JSON.parse(
      readFileSync(join(folder, name, 'package.json'), 'utf8'),
    )
    for (const [of, version] of Object.entries({ ...dependencies, ...devDependencies })) {
      assert.match(version, /^(\d+\.\d+\.\d+|file:\.\.\/\.\.\/packages\/[\w-]+)$/, `${name}: ${of}`)
    }
    assert.doesNotMatch(
      readFileSync(join(folder, name, 'package-lock.json'), 'utf8'),
      /"resolved": "(?!\.\.\/)/,
      `${name}/package-lock.json`,
    )
  }
})

test('go/generated.go is what genqlient makes of the schema', { skip: noGo, timeout: 600_000 }, (t) => {
  const copy = mkdtempSync(join(tmpdir(), 'parley-examples-'))
  t.after(() => rmSync(copy, { recursive: true }))
  cpSync(join(folder, 'schema.graphql'), join(copy, 'schema.graphql'))
  cpSync(join(folder, 'go'), join(copy, 'go'), { recursive: true })
  rmSync(join(copy, 'go/generated.go'))

  const run = spawnSync('go', ['generate', '.'], { cwd: join(copy, 'go'), env: cleanEnvironment(), encoding: 'utf8' })

  assert.equal(run.status, 0, run.stdout + run.stderr)
  assert.ok(
    readFileSync(join(copy, 'go/generated.go'), 'utf8') === readFileSync(join(folder, 'go/generated.go'), 'utf8'),
    'it is not: run "go generate" in examples/go',
  )
})

test('the Go program is formatted and vetted', { skip: noGo, timeout: 600_000 }, () => {
  for (const command of [
    ['gofmt', '-l', '.'],
    ['go', 'vet', '.'],
    ['go', 'mod', 'tidy', '-diff'],
  ]) {
    const run = spawnSync(command[0], command.slice(1), {
      cwd: join(folder, 'go'),
      env: cleanEnvironment(),
      encoding: 'utf8',
    })
    assert.equal(run.status === 0 && run.stdout, '', `${command.join(' ')}\n${run.stdout}${run.stderr}`)
  }
})
