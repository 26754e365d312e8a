// What the tests of this folder share: the schema in the source, in the binary and
// in the last release.
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { buildSchema, lexicographicSortSchema, printSchema } from 'graphql'
import { schemaFiles } from './eslint.config.mjs'
import { cleanEnvironment } from '../lib/parley.mjs'

export const root = join(dirname(fileURLToPath(import.meta.url)), '../..')
export const sources = join(root, 'graph/schema')

export const read = (path) => readFileSync(join(root, path), 'utf8')

// written is what people wrote, put together.
export function written() {
  return schemaFiles(sources).map((path) => readFileSync(path, 'utf8')).join('\n')
}

// printed is what the binary says, word for word.
export function printed() {
  assert.ok(process.env.PARLEY_BINARY, 'set PARLEY_BINARY to the built binary, see compat/README.md')
  return execFileSync(process.env.PARLEY_BINARY, ['schema'], { encoding: 'utf8', env: cleanEnvironment() })
}

// inOrder is a schema in a form in which equal ones are equal texts, and sorted the same of its text.
export const inOrder = (schema) => printSchema(lexicographicSortSchema(schema))
export const sorted = (sdl) => inOrder(buildSchema(sdl))
