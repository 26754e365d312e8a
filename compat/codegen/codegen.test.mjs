// The generators of types that people use, on the schema that the binary prints:
// what they write compiles with a program that names every kind of event.
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { before, describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { cleanEnvironment } from '../lib/parley.mjs'

const here = fileURLToPath(new URL('.', import.meta.url))

function run(command, args, cwd) {
  const result = spawnSync(command, args, { cwd, encoding: 'utf8', env: cleanEnvironment({ CI: '1' }) })
  return { status: result.status, output: `${result.error ?? ''}${result.stdout}${result.stderr}` }
}

const tool = (name, args, cwd) => run(join(here, 'node_modules/.bin', name), args, cwd)

let schema
before(() => {
  assert.ok(process.env.PARLEY_BINARY, 'set PARLEY_BINARY to the built binary, see compat/README.md')
  const printed = run(process.env.PARLEY_BINARY, ['schema'])
  assert.equal(printed.status, 0, printed.output)
  schema = printed.output
})

// setup makes a project with the schema, the documents and the program.
function setup(t, files) {
  const folder = mkdtempSync(join(tmpdir(), 'parley-codegen-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  symlinkSync(join(here, 'node_modules'), join(folder, 'node_modules'))
  writeFileSync(join(folder, 'schema.graphql'), schema)
  cpSync(join(here, 'sample/program.ts'), join(folder, 'src/program.ts'))
  const documents = readFileSync(join(here, 'sample/documents.graphql'), 'utf8')
  const [watch, send] = documents.split(/\n(?=mutation)/)
  const all = {
    'package.json': '{"type":"module"}',
    'tsconfig.json': JSON.stringify({
      compilerOptions: {
        strict: true,
        noEmit: true,
        exactOptionalPropertyTypes: true,
        noUncheckedIndexedAccess: true,
        skipLibCheck: true,
        target: 'es2023',
        module: 'esnext',
        moduleResolution: 'bundler',
        types: [],
        plugins: [
          { name: 'gql.tada/ts-plugin', schema: './schema.graphql', tadaOutputLocation: './src/graphql-env.d.ts' },
        ],
      },
      include: ['src'],
    }),
    ...files(watch, send),
  }
  for (const [name, text] of Object.entries(all)) writeFileSync(join(folder, name), text)
  return folder
}

function generate(name, args, folder) {
  const { status, output } = tool(name, args, folder)
  assert.equal(status, 0, output)
}

// assertCompiles proves that the program compiles, and that the compiler looked: it
// finds a kind of event that was forgotten, and a field of another kind.
function assertCompiles(folder) {
  const good = tool('tsc', ['--project', '.'], folder)
  assert.equal(good.status, 0, good.output)
  const path = join(folder, 'src/program.ts')
  const program = readFileSync(path, 'utf8')
  for (const [from, to, complaint] of [
    ["    case 'MessageReasoningDelta':\n      return content\n", '', /is not assignable to parameter of type/],
    [
      "    case 'MessageDelta':\n",
      "    case 'MessageDelta':\n      void event.message\n",
      /Property 'message' does not exist/,
    ],
    ["clientKey: 'a-key-of-mine'", "key: 'a-key-of-mine'", /'key' does not exist/],
  ]) {
    assert.ok(program.includes(from))
    writeFileSync(path, program.replace(from, to))
    const bad = tool('tsc', ['--project', '.'], folder)
    assert.notEqual(bad.status, 0, `compiles without ${from}`)
    assert.match(bad.output, complaint)
  }
}

describe('types from the printed schema', { concurrency: true }, () => {
  test('graphql-codegen with client-preset', (t) => {
    const folder = setup(t, (watch, send) => ({
      'codegen.json': JSON.stringify({
        schema: 'schema.graphql',
        documents: ['src/operations.ts'],
        generates: {
          './src/gql/': { preset: 'client', config: { scalars: { DateTime: 'string' }, useTypeImports: true } },
        },
      }),
      'src/operations.ts': `import { graphql } from './gql'
export const watch = graphql(\`${watch}\`)
export const send = graphql(\`${send}\`)
`,
      'src/types.ts': `import type { ResultOf, VariablesOf } from '@graphql-typed-document-node/core'
import type { send, watch } from './operations'
export type Event = ResultOf<typeof watch>['messageEvents']
export type SendResult = ResultOf<typeof send>['sendMessage']
export type SendInput = VariablesOf<typeof send>['input']
`,
    }))
    generate('graphql-codegen', ['--config', 'codegen.json'], folder)
    assertCompiles(folder)
  })

  test('gql.tada', (t) => {
    const folder = setup(t, (watch, send) => ({
      'src/graphql.ts': `import { initGraphQLTada } from 'gql.tada'
import type { introspection } from './graphql-env'
export const graphql = initGraphQLTada<{ introspection: introspection; scalars: { DateTime: string } }>()
`,
      'src/types.ts': `import type { ResultOf, VariablesOf } from 'gql.tada'
import { graphql } from './graphql'
const watch = graphql(\`${watch}\`)
const send = graphql(\`${send}\`)
export type Event = ResultOf<typeof watch>['messageEvents']
export type SendResult = ResultOf<typeof send>['sendMessage']
export type SendInput = VariablesOf<typeof send>['input']
`,
    }))
    generate('gql.tada', ['generate-output'], folder)
    generate('gql.tada', ['check', '--fail-on-warn'], folder)
    assertCompiles(folder)
  })

  test('relay-compiler', (t) => {
    const folder = setup(t, (watch, send) => ({
      'relay.config.json': JSON.stringify({
        src: './src',
        schema: './schema.graphql',
        language: 'typescript',
        eagerEsModules: true,
        customScalarTypes: { DateTime: 'string' },
      }),
      'src/documents.ts': `declare function graphql(text: TemplateStringsArray): unknown
export const watch = graphql\`${watch}\`
export const send = graphql\`${send}\`
`,
      'src/types.ts': `import type { documentsSendMutation } from './__generated__/documentsSendMutation.graphql'
import type { documentsWatchSubscription } from './__generated__/documentsWatchSubscription.graphql'
export type Event = documentsWatchSubscription['response']['messageEvents']
export type SendResult = documentsSendMutation['response']['sendMessage']
export type SendInput = documentsSendMutation['variables']['input']
`,
    }))
    generate('relay-compiler', ['--noWatchman'], folder)
    assertCompiles(folder)
  })
})
