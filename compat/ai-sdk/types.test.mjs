// The blocks of the README of packages/ai-sdk are strict TypeScript, templates included.
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { packages } from './chat.mjs'
import { block, here } from './pages.mjs'

const files = { ts: 'transport.ts', tsx: 'React.tsx', vue: 'Vue.vue', svelte: 'Svelte.svelte' }

const compilerOptions = {
  strict: true,
  noUncheckedIndexedAccess: true,
  exactOptionalPropertyTypes: true,
  verbatimModuleSyntax: true,
  target: 'es2022',
  lib: ['es2023', 'dom', 'dom.iterable'],
  module: 'esnext',
  moduleResolution: 'bundler',
  jsx: 'react-jsx',
  types: [],
  skipLibCheck: true,
  noEmit: true,
  paths: {
    '@parley/*': [join(packages, '*/src/index.ts')],
    // The packages have none of their own.
    ai: [join(here, 'node_modules/ai')],
  },
}

test('the components for React, Vue and Svelte are typed', (t) => {
  // Their imports are found from here.
  const folder = mkdtempSync(join(here, 'types-'))
  t.after(() => rmSync(folder, { recursive: true }))
  for (const [language, file] of Object.entries(files)) writeFileSync(join(folder, file), block(language))
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions, include: ['.'] }))

  for (const [checker, ...flags] of [
    ['vue-tsc/bin/vue-tsc.js', '--project'],
    ['svelte-check/bin/svelte-check', '--output', 'machine', '--tsconfig'],
  ]) {
    const script = join(here, 'node_modules', checker)
    const run = spawnSync(process.execPath, [script, ...flags, 'tsconfig.json'], { cwd: folder, encoding: 'utf8' })
    assert.equal(run.status, 0, `${checker}\n${run.stdout}${run.stderr}`)
  }
})
