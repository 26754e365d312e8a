// What relay-compiler makes of the documents in src, with the schema that the binary prints.
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { cpSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after } from 'node:test'
import { fileURLToPath } from 'node:url'
import { cleanEnvironment } from '../lib/parley.mjs'

function run(command, args, cwd) {
  const result = spawnSync(command, args, { cwd, encoding: 'utf8', env: cleanEnvironment() })
  assert.equal(result.status, 0, `${command} ${args}: ${result.error ?? result.stdout + result.stderr}`)
  return result.stdout
}

// compile gives the operations of one file, by the second half of their names.
export async function compile(file) {
  assert.ok(process.env.PARLEY_BINARY, 'set PARLEY_BINARY to the built binary, see compat/README.md')
  const folder = mkdtempSync(join(tmpdir(), 'parley-relay-'))
  after(() => rmSync(folder, { recursive: true, force: true }))
  writeFileSync(join(folder, 'schema.graphql'), run(process.env.PARLEY_BINARY, ['schema']))
  writeFileSync(join(folder, 'package.json'), '{"type":"module"}')
  writeFileSync(
    join(folder, 'relay.config.json'),
    JSON.stringify({
      src: './src',
      schema: './schema.graphql',
      language: 'javascript',
      eagerEsModules: true,
      customScalarTypes: { DateTime: 'string' },
    }),
  )
  cpSync(fileURLToPath(new URL('src', import.meta.url)), join(folder, 'src'), { recursive: true })
  run(
    process.execPath,
    [fileURLToPath(new URL('node_modules/relay-compiler/cli.js', import.meta.url)), '--noWatchman'],
    folder,
  )
  const documents = {}
  for (const name of readdirSync(join(folder, 'src/__generated__'))) {
    const operation = new RegExp(`^${file}([A-Z]\\w*)\\.graphql\\.js$`).exec(name)
    if (operation) documents[operation[1]] = (await import(join(folder, 'src/__generated__', name))).default
  }
  return documents
}
