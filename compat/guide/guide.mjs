// What the tests of this folder share: the blocks of docs/clients.md as files, what
// a browser has and Node 20 lacks, a model server that says when it goes on, and a
// console that notes every word.
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import WebSocket from 'ws'
import { serveModel } from '../lib/model.mjs'
import { call, cleanEnvironment } from '../lib/parley.mjs'

export const here = dirname(fileURLToPath(import.meta.url))
export const guide = readFileSync(join(here, '../../docs/clients.md'), 'utf8')

// blocks are all blocks of code of the guide: language, the text, and the name of
// the file that the first line gives.
export const blocks = [...guide.matchAll(/^```(\w*)\n(.*?)^```$/gms)].map(([, language, code]) => ({
  language,
  code,
  file: /^\/\/ ([\w/]+\.js):/.exec(code)?.[1],
}))

export const server = 'http://127.0.0.1:8080'

// write puts the files of the guide below a folder, for a server.
export function write(folder, url) {
  for (const { file, code } of blocks) {
    if (!file) continue
    mkdirSync(dirname(join(folder, file)), { recursive: true })
    writeFileSync(join(folder, file), code.replaceAll(server, url))
  }
}

// compileRelay does what a project with Relay has in its build: relay-compiler makes
// the artifacts, Babel puts them where the documents were.
function compileRelay(folder) {
  const run = (command, args) => {
    const done = spawnSync(command, args, { cwd: folder, encoding: 'utf8', env: cleanEnvironment() })
    assert.equal(done.status, 0, `${command} ${args}: ${done.error ?? done.stdout + done.stderr}`)
    return done.stdout
  }
  writeFileSync(join(folder, 'schema.graphql'), run(process.env.PARLEY_BINARY, ['schema']))
  const config = { src: './relay', schema: './schema.graphql', language: 'javascript', eagerEsModules: true }
  writeFileSync(join(folder, 'relay.config.json'), JSON.stringify(config))
  run(process.execPath, [join(here, 'node_modules/relay-compiler/cli.js'), '--noWatchman'])
  const { transformFileSync } = createRequire(import.meta.url)('@babel/core')
  const { code } = transformFileSync(join(folder, 'relay/chat.js'), {
    configFile: false,
    plugins: [['babel-plugin-relay', { eagerEsModules: true }]],
  })
  // relay-runtime is CommonJS: bundlers take names from it, Node does not. Bundlers
  // also find the artifacts without the ending of their files.
  const named = (code) =>
    code
      .replace(/import \{([^}]*)\} from ['"]relay-runtime['"]/, "import relay from 'relay-runtime'; const {$1} = relay")
      .replace(/(['"]\.\/(?:__generated__\/)?\w+\.graphql)(['"])/g, '$1.js$2')
  writeFileSync(join(folder, 'relay/chat.js'), code)
  const generated = readdirSync(join(folder, 'relay/__generated__')).map((name) => `__generated__/${name}`)
  for (const name of ['chat.js', 'environment.js', ...generated]) {
    const file = join(folder, 'relay', name)
    writeFileSync(file, named(readFileSync(file, 'utf8')))
  }
}

// Tabs makes the modules of the guide for one user: each tab has modules of its own,
// and all share the store and the locks of their browser.
export class Tabs {
  #folder = mkdtempSync(join(tmpdir(), 'parley-guide-'))

  static async open(t, url, { relay = false } = {}) {
    const tabs = new Tabs()
    t.after(() => rmSync(tabs.#folder, { recursive: true, force: true }))
    // Outside of the repository, since relay-compiler adds what it writes to git.
    symlinkSync(join(here, 'node_modules'), join(tabs.#folder, 'node_modules'))
    writeFileSync(join(tabs.#folder, 'package.json'), '{"type":"module"}')
    mkdirSync(join(tabs.#folder, '0'))
    write(join(tabs.#folder, '0'), url)
    if (relay) compileRelay(join(tabs.#folder, '0'))
    browser()
    return tabs
  }

  #next = 0

  // tab gives a function that imports the files of one more tab.
  tab() {
    const folder = join(this.#folder, `${this.#next++}`)
    if (this.#next > 1) cpSync(join(this.#folder, '0'), folder, { recursive: true })
    return (file) => import(pathToFileURL(join(folder, file)))
  }
}

// browser gives this process what a page has: one store, Web Locks, and events of
// the window.
function browser() {
  const held = new Map()
  globalThis.localStorage = {
    getItem: (key) => held.get(key) ?? null,
    setItem: (key, value) => held.set(key, value),
    removeItem: (key) => held.delete(key),
  }
  let last = Promise.resolve()
  const locks = { request: (_, work) => (last = last.then(work, work)) }
  Object.defineProperty(globalThis, 'navigator', { value: { locks }, configurable: true })
  globalThis.addEventListener = () => {}
  globalThis.WebSocket = WebSocket
}

// quiet notes every line that a client writes to the console.
export function quiet() {
  const said = []
  for (const level of ['debug', 'log', 'info', 'warn', 'error', 'trace']) {
    console[level] = (...args) => said.push(`${level}: ${args.map((arg) => arg?.stack ?? arg).join(' ')}`)
  }
  return said
}

export const words = Array.from({ length: 12 }, (_, i) => `word${i}🎉é`)
export const reply = words.join(' ')
export const beginning = words.slice(0, 4).join(' ')
export const middle = words.slice(0, 8).join(' ')

// startModel is a model server that says the beginning of each reply at once, and the
// rest when the gate of its question is open.
export async function startModel(t) {
  const gates = new Map()
  const model = {
    // hold keeps replies to a question after their beginning until open is called, and
    // with two gates in the middle until it is called again.
    hold(question, count = 1) {
      const opens = []
      gates.set(
        question,
        Array.from({ length: count }, () => new Promise((resolve) => opens.push(resolve))),
      )
      return () => opens.shift()()
    },
  }
  model.baseURL = await serveModel(t, async ({ question, say, closed }) => {
    say(beginning)
    const [first, second] = gates.get(question) ?? []
    await Promise.race([first, closed])
    for (const word of words.slice(4, 8)) say(` ${word}`)
    await Promise.race([second, closed])
    for (const word of words.slice(8)) say(` ${word}`)
  })
  return model
}

// device is another device of the same user, which knows nothing of the guide.
export function device(url, email, password) {
  let token
  return async (query, variables) => {
    const document = 'mutation ($input: SignInInput!) { signIn(input: $input) { accessToken } }'
    token ??= (await call(url, document, { input: { email, password } })).data.signIn.accessToken
    const { data, errors } = await call(url, query, variables, token)
    assert.equal(errors, undefined, JSON.stringify(errors))
    return data
  }
}
