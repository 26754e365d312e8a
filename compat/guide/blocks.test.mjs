// No block of docs/clients.md is left out by the tests of this folder, and the guide
// names no code that the protocol does not have.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { buildSchema, parse, validate } from 'graphql'
import { spawnSync } from 'node:child_process'
import { cleanEnvironment } from '../lib/parley.mjs'
import { blocks, guide, here } from './guide.mjs'

const of = (language) => blocks.filter((block) => block.language === language)

test('every block of JavaScript is a file that the other tests import', () => {
  const files = of('js').map(({ file, code }) => file ?? assert.fail(`its first line names no file:\n${code}`))
  assert.deepEqual(files.sort(), [
    'apollo/chat.js',
    'apollo/client.js',
    'chat.js',
    'outbox.js',
    'package/chat.js',
    'plain/follow.js',
    'relay/chat.js',
    'relay/environment.js',
    'session.js',
    'socket.js',
    'urql/client.js',
    'urql/follow.js',
    'versions.js',
  ])
})

test('what npm install names is what runs here, and all that the blocks import', () => {
  const { dependencies, devDependencies } = JSON.parse(readFileSync(join(here, 'package.json'), 'utf8'))
  const named = new Set()
  for (const { code } of of('sh')) {
    for (const line of code.trim().split('\n')) {
      assert.match(line, /^npm install( --save-dev)?( [@\w/-]+)+$/)
      for (const name of line.split(' ').slice(2)) if (!name.startsWith('--')) named.add(name)
    }
  }
  for (const name of named) assert.ok(dependencies[name] ?? devDependencies[name], `${name} does not run here`)
  for (const { code } of of('js')) {
    for (const [, name] of code.matchAll(/from '((?:@\w[\w-]*\/)?[\w-]+)(?:\/[\w/-]+)?'/g)) {
      // What is in packages/ comes with this repository.
      assert.ok(named.has(name) || name.startsWith('@parley/'), `${name} is imported and not installed`)
    }
  }
})

test('every block of GraphQL fits the schema, and there are no other blocks', () => {
  const printed = spawnSync(process.env.PARLEY_BINARY, ['schema'], { encoding: 'utf8', env: cleanEnvironment() })
  const schema = buildSchema(printed.stdout)
  assert.ok(of('graphql').length > 0)
  for (const { code } of of('graphql')) assert.deepEqual(validate(schema, parse(code)), [])
  assert.equal(of('js').length + of('sh').length + of('graphql').length, blocks.length)
  assert.equal(guide.match(/^```/gm).length, 2 * blocks.length, 'a block that is not closed')
})

test('the codes are those of the protocol, each with something to do', () => {
  const codes = (text, heading) => {
    const [section] = text.slice(text.indexOf(`\n## ${heading}\n`) + 1).split('\n## ')
    return new Set([...section.matchAll(/`([A-Z]+_?[A-Z_]+)`/g)].map(([, code]) => code))
  }
  const known = codes(readFileSync(join(here, '../../docs/protocol.md'), 'utf8').replace(/^### /gm, '## '), 'Errors')
  const named = codes(guide, 'Errors')
  const values = ['QUEUE', 'INTERRUPT', 'FAILED'] // of enums
  for (const code of named) assert.ok(known.has(code) || values.includes(code), `${code} is no code of the protocol`)
  for (const code of ['UNAUTHENTICATED', 'OVERLOADED', 'RATE_LIMITED', 'UNAVAILABLE']) assert.ok(named.has(code), code)
})

test('what runs here is the development build, which speaks on the console', async () => {
  const { gql, InMemoryCache } = await import('@apollo/client')
  const said = []
  const { error } = console
  console.error = (...args) => said.push(args)
  try {
    new InMemoryCache().writeQuery({
      query: gql`
        {
          a
          b
        }
      `,
      data: { a: 1 },
    })
  } finally {
    console.error = error
  }
  assert.equal(said.length, 1)
  assert.notEqual(process.env.NODE_ENV, 'production')
})
