// The schema is the same everywhere, and what worked with the last release works.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { diff } from '@graphql-inspector/core'
import { buildClientSchema, buildSchema, getIntrospectionQuery } from 'graphql'
import { call, serverURL } from '../lib/parley.mjs'
import { inOrder, printed, read, sorted, written } from './schema.mjs'

const released = 'graph/schema/released.graphql'

// changes lists what is different, the breaking and the dangerous apart.
async function changes(before, now) {
  const all = await diff(buildSchema(before), buildSchema(now))
  const of = (level) =>
    all.filter(({ criticality }) => criticality.level === level).map(({ path, message }) => `${path}: ${message}`)
  return { breaking: of('BREAKING'), dangerous: of('DANGEROUS') }
}

async function checkCompatible(t, now) {
  const { breaking, dangerous } = await changes(read(released), now)
  for (const change of dangerous) t.diagnostic(`a client may stumble over: ${change}`)
  assert.equal(
    breaking.length,
    0,
    `clients of the last release break:\n- ${breaking.join('\n- ')}\n` +
      `Deprecate first. When this is meant, replace ${released} by the output of "parley schema"; CHANGELOG.md needs an entry that says so.`,
  )
}

test('the binary has the schema that is written', () => {
  assert.equal(sorted(printed()), sorted(written()))
})

test('examples/schema.graphql is what the binary prints', () => {
  assert.ok(
    read('examples/schema.graphql') === printed(),
    'it is not: run "bin/parley schema >examples/schema.graphql", and go generate in examples/go',
  )
})

test('introspection tells what the binary prints, and no more', async () => {
  const query = getIntrospectionQuery({
    specifiedByUrl: true,
    directiveIsRepeatable: true,
    schemaDescription: true,
    inputValueDeprecation: true,
    oneOf: true,
  })
  const { data, errors } = await call(serverURL(), query)
  assert.equal(errors, undefined)
  const told = buildClientSchema(data)
  assert.equal(inOrder(told), sorted(printed()))
  const directives = (schema) => schema.getDirectives().map(String).sort()
  assert.deepEqual(directives(told), directives(buildSchema(printed())))
  assert.match(told.description, /sendMessage/)
})

test('nothing breaks clients of the last release', async (t) => {
  await checkCompatible(t, printed())
})

const planted = {
  'a field is gone': [/\n  """\n  Who speaks\.\n  """\n  role: MessageRole!/, '', /Message\.role/],
  'a field may be null': [/content: String!/, 'content: String', /Message\.content/],
  'an enum value is gone': [/\n  """\n  Somebody stopped it[^"]*"""\n  STOPPED/, '', /MessageStatus\.STOPPED/],
  'an argument is required': [
    /after: String\n  \): MessageEvent!/,
    'after: String!\n  ): MessageEvent!',
    /messageEvents\.after/,
  ],
  'an input field is required': [/clientKey: String/, 'clientKey: String!', /SendMessageInput\.clientKey/],
}
for (const [name, [from, to, want]] of Object.entries(planted)) {
  test(`a planted breaking change: ${name}`, async (t) => {
    const before = read(released)
    const now = before.replace(from, to)
    assert.notEqual(now, before, 'nothing was planted: released.graphql has changed, and this test has to follow')

    await assert.rejects(
      checkCompatible(t, now),
      (error) => want.test(error.message) && error.message.includes('CHANGELOG.md needs an entry'),
    )
  })
}

test('an addition is no breaking change', async (t) => {
  await checkCompatible(t, `${read(released)}\nextend type Message { planted: String }\nextend enum OnBusy { PLANTED }`)
})
