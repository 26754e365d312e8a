// graph/schema/*.graphql keeps the rules of eslint.config.mjs, and those that no
// linter knows. Planted mistakes prove that the rules are at work.
import assert from 'node:assert/strict'
import { cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { ESLint } from 'eslint'
import { buildSchema, getNullableType, isInputObjectType, isListType, isNonNullType } from 'graphql'
import { rulesFor, schemaFiles } from './eslint.config.mjs'
import { root, sources, written } from './schema.mjs'

// lint returns "file:line rule: message" for each problem in a folder.
async function lint(folder, cwd) {
  const eslint = new ESLint({ cwd, overrideConfigFile: true, overrideConfig: rulesFor(folder) })
  const results = await eslint.lintFiles(schemaFiles(folder))
  return results.flatMap(({ filePath, messages }) =>
    messages.map(
      ({ line, ruleId, message }) => `${filePath}:${line} ${ruleId?.replace('@graphql-eslint/', '')}: ${message}`,
    ),
  )
}

test('the linter has nothing to say', async () => {
  assert.deepEqual(await lint(sources, root), [])
})

const mistakes = {
  'require-description': 'extend type Query { """A""" planted(id: ID!): Message }',
  'description-style': 'extend type Message { "One line." planted: String }',
  'naming-convention': 'extend enum OnBusy { """A""" planted_value }',
  'no-typename-prefix': 'extend type Message { """A""" messagePlanted: String }',
  'input-name': 'extend type Mutation { """A""" plant("""A""" seed: SendMessageInput!): SendMessagePayload! }',
  'no-scalar-result-type-on-mutation': 'extend type Mutation { """A""" plant: Boolean! }',
  'strict-id-in-types': 'extend type Query { """A""" planted: Planted } """A""" type Planted { """A""" text: String! }',
  'relay-arguments': 'extend type Query { """A""" planted("""A""" first: Int): MessageConnection! }',
  'relay-connection-types':
    'extend type Query { """A""" planted: PlantedConnection } """A""" type PlantedConnection { """A""" nodes: [Message!]! }',
  'require-deprecation-date': 'extend type Message { """A""" planted: String @deprecated(reason: "Use content.") }',
  'no-unreachable-types': '"""A""" type PlantedPayload { """A""" message: Message! }',
}
for (const [rule, sdl] of Object.entries(mistakes)) {
  test(`a planted mistake: ${rule}`, async (t) => {
    const folder = mkdtempSync(join(tmpdir(), 'parley-schema-'))
    t.after(() => rmSync(folder, { recursive: true }))
    cpSync(sources, folder, { recursive: true })
    writeFileSync(join(folder, 'planted.graphql'), sdl.replaceAll(/"""A"""/g, '\n"""\nA\n"""\n'))

    const problems = await lint(folder, folder)

    assert.ok(
      problems.some((problem) => problem.includes(`planted.graphql`) && problem.includes(` ${rule}: `)),
      problems.join('\n'),
    )
  })
}

// shape returns what breaks the rules for root fields.
function shape(sdl) {
  const schema = buildSchema(sdl)
  const problems = []
  for (const field of Object.values(schema.getQueryType().getFields())) {
    // What is looked up may not be there, or may fail alone. Lists and connections are always there, and so is the
    // site, which is not looked up.
    const always =
      isListType(getNullableType(field.type)) || /Connection!?$/.test(String(field.type)) || field.name === 'site'
    if (isNonNullType(field.type) !== always)
      problems.push(`Query.${field.name}: ${field.type} should be ${always ? 'non-null' : 'nullable'}`)
  }
  for (const field of Object.values(schema.getMutationType().getFields())) {
    const name = field.name[0].toUpperCase() + field.name.slice(1)
    // The three that sign in give the same thing.
    const payload = ['signUp', 'signIn', 'refreshSession'].includes(field.name) ? 'AuthPayload' : `${name}Payload`
    if (String(field.type) !== `${payload}!`)
      problems.push(`Mutation.${field.name}: ${field.type} should be ${payload}!`)
    // signOut is about the session that asks: there is nothing to say.
    const want = field.name === 'signOut' ? '' : `input: ${name}Input!`
    const got = field.args.map((argument) => `${argument.name}: ${argument.type}`).join(', ')
    if (got !== want) problems.push(`Mutation.${field.name}(${got}) should have (${want})`)
  }
  for (const field of Object.values(schema.getSubscriptionType().getFields())) {
    if (!/Event!$/.test(String(field.type)))
      problems.push(`Subscription.${field.name}: ${field.type} should be a non-null …Event`)
  }
  for (const type of Object.values(schema.getTypeMap())) {
    // Clients send variables, and nothing checks @oneOf in those (gqlparser 2.5).
    if (isInputObjectType(type) && type.isOneOf) problems.push(`input ${type.name} is @oneOf`)
  }
  return problems
}

test('root fields: one input, a payload of their own, null where something may be missing', () => {
  assert.deepEqual(shape(written()), [])
})

test('a planted mistake: the shape of root fields', () => {
  const planted = `
    extend type Query { planted(id: ID!): Message! }
    extend type Mutation { plant(input: SendMessageInput!, wait: Boolean): Message }
    extend type Subscription { planted: Message! }`
  assert.equal(shape(written() + planted).length, 4)
})
