// Writes src/schema.ts from the SDL: the types of the server, without any code. Run `npm run schema` after a change of
// graph/schema. It reads the SDL by itself, since types are all that is wanted of it.
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'

const schema = new URL('../../graph/schema/', import.meta.url)
const scalars = { ID: 'string', String: 'string', Int: 'number', Float: 'number', Boolean: 'boolean' }

const source = readdirSync(schema)
  .filter((name) => name.endsWith('.graphql') && name !== 'released.graphql')
  .sort()
  .map((name) => readFileSync(new URL(name, schema), 'utf8'))
  .join('\n')

// What is said of things is in the SDL; arguments of fields have no place in the types of answers.
const bare = source
  .replace(/"""[^]*?"""/g, '')
  .replace(/"(?:[^"\\\n]|\\.)*"/g, '""')
  .replace(/#.*/g, '')
  .replace(/\((?:[^()]|\([^()]*\))*\)/g, '')
  .replace(/@\w+/g, '')

const typeOf = (text) => {
  const nullable = !text.endsWith('!')
  const inner = nullable ? text : text.slice(0, -1)
  const list = /^\[(.+)\]$/.exec(inner)
  const name = list ? `readonly (${typeOf(list[1])})[]` : (scalars[inner] ?? inner)
  return (list ? name.replace(/\((\w+)\)/, '$1') : name) + (nullable ? ' | null' : '')
}

const fieldsOf = (body, optional) =>
  [...body.matchAll(/(\w+)\s*:\s*([\w[\]!]+)(\s*=)?/g)].map(([, name, type, hasDefault]) => {
    const may = optional && (hasDefault || !type.endsWith('!'))
    return `  ${name}${may ? '?' : ''}: ${typeOf(type)}\n`
  })

const roots = ['Query', 'Mutation', 'Subscription']
const types = new Map()
const definition = /\b(type|interface|input|enum)\s+(\w+)(?:\s+implements[\w\s&]+)?\s*\{([^}]*)\}/g
for (const [, kind, name, body] of bare.matchAll(definition)) {
  if (kind === 'enum') {
    types.set(
      name,
      `export type ${name} =${body
        .match(/\w+/g)
        .map((value) => `\n  | '${value}'`)
        .join('')}\n`,
    )
    continue
  }
  const fields = fieldsOf(body, kind === 'input')
  const before = types.get(name)
  const typename = kind === 'type' && !roots.includes(name) ? [`  __typename?: '${name}'\n`] : []
  types.set(name, { head: `export interface ${name} {\n`, fields: [...(before?.fields ?? typename), ...fields] })
}
for (const [, name, members] of bare.matchAll(/\bunion\s+(\w+)\s*=\s*((?:\|?\s*\w+\s*\|\s*)*\|?\s*\w+)/g)) {
  types.set(
    name,
    `export type ${name} =${members
      .match(/\w+/g)
      .map((member) => `\n  | ${member}`)
      .join('')}\n`,
  )
}
for (const [, name] of bare.matchAll(/\bscalar\s+(\w+)/g)) types.set(name, `export type ${name} = string\n`)

const text = [...types.values()].map((type) => (type.head ? `${type.head}${type.fields.join('')}}\n` : type))
const file = `// Generated from graph/schema by schema.mjs. Do not edit.\n\n${text.join('\n')}`
writeFileSync(process.argv[2] ?? new URL('src/schema.ts', import.meta.url), file)
