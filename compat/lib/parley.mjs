// What the tests of all folders share: calling Parley, following a reply by the
// documented rule, and starting the binary. It uses nothing but Node itself, so
// that each folder brings its own clients.
import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { randomInt, randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import http from 'node:http'
import { createConnection, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'

export const password = 'correct horse battery staple'

// serverURL is the server that make test has started for this run.
export function serverURL() {
  assert.ok(process.env.PARLEY_URL, 'set PARLEY_URL to a running server, see compat/README.md')
  return process.env.PARLEY_URL
}

// call posts one operation and returns what came back, errors included.
export async function call(url, query, variables = {}, token = undefined) {
  const response = await fetch(`${url}/graphql`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', ...(token && { Authorization: `Bearer ${token}` }) },
    body: JSON.stringify({ query, variables }),
  })
  return { status: response.status, type: response.headers.get('Content-Type'), ...(await response.json()) }
}

// data is call for operations that must succeed.
export async function data(url, query, variables, token) {
  const answer = await call(url, query, variables, token)
  assert.equal(answer.errors, undefined, `errors: ${JSON.stringify(answer.errors)}`)
  return answer.data
}

// refused is call for operations that must be refused; it returns the only error.
export async function refused(url, query, variables, token) {
  const answer = await call(url, query, variables, token)
  assert.equal(answer.errors?.length, 1, `want one error, got ${JSON.stringify(answer)}`)
  return answer.errors[0]
}

const authFields = 'accessToken refreshToken expiresAt user { id email name }'

export const signUpDocument = `mutation ($input: SignUpInput!) { signUp(input: $input) { ${authFields} } }`
export const signInDocument = `mutation ($input: SignInInput!) { signIn(input: $input) { ${authFields} } }`
export const refreshDocument = `mutation ($input: RefreshSessionInput!) { refreshSession(input: $input) { ${authFields} } }`

// signUp makes an account of its own. An address may sign up ten times an hour, so
// on Linux, where all of 127.0.0.0/8 is this machine, each comes from another one.
export async function signUp(url) {
  const email = `${randomUUID()}@example.com`
  const localAddress =
    process.platform === 'linux' ? `127.${randomInt(1, 255)}.${randomInt(255)}.${randomInt(1, 255)}` : undefined
  const request = http.request(`${url}/graphql`, {
    method: 'POST',
    localAddress,
    headers: { 'Content-Type': 'application/json' },
  })
  request.end(JSON.stringify({ query: signUpDocument, variables: { input: { email, password, name: 'Ada' } } }))
  const [response] = await once(request, 'response')
  let body = ''
  for await (const piece of response.setEncoding('utf8')) body += piece
  const answer = JSON.parse(body)
  assert.equal(answer.errors, undefined, `sign-up: ${body}`)
  return { email, ...answer.data.signUp, token: answer.data.signUp.accessToken }
}

export const sendDocument = `mutation ($input: SendMessageInput!) {
  sendMessage(input: $input) {
    deduplicated
    conversation { id headId }
    userMessage { id index role status content }
    reply { id index role status content model attempt error { code } }
  }
}`

// brief, as part of a send's input, has the built-in model leave out the introduction of its first reply. That takes
// five seconds, which only tests of streams need.
export const brief = { parameters: { stop: [' I am ELIZA'] } }

// send sends a message and returns the payload.
export async function send(url, token, input) {
  return (await data(url, sendDocument, { input }, token)).sendMessage
}

// readMessage is what a query says about a message now.
export async function readMessage(url, token, id) {
  const query = `query ($id: ID!) { node(id: $id) { ... on Message {
    id status content attempt finishReason error { code message retryable } usage { totalTokens estimated }
  } } }`
  return (await data(url, query, { id }, token)).node
}

// finalMessage waits until a reply is final by itself.
export function finalMessage(url, token, id, limit = 30_000) {
  return until(`the reply ${id} is final`, limit, async () => {
    const message = await readMessage(url, token, id)
    return !['STREAMING', 'QUEUED'].includes(message.status) && message
  })
}

// patience is how long tests wait for what must happen, where no time is promised: far longer than the busiest machine
// takes. It matters only when they fail.
export const patience = 120_000

// until polls, since there is nothing to wait for, until check gives something. A limit below patience counts as that.
export async function until(what, limit, check) {
  limit = Math.max(limit, patience)
  const deadline = Date.now() + limit
  for (;;) {
    const result = await check()
    if (result) return result
    assert.ok(Date.now() < deadline, `not within ${limit} ms: ${what}`)
    await pause(25)
  }
}

export const watchDocument = `subscription Watch($id: ID!, $after: String) {
  messageEvents(messageId: $id, after: $after) {
    __typename
    ... on MessageSnapshot { cursor message { id status content attempt } }
    ... on MessageDelta { cursor offset text }
    ... on MessageReasoningDelta { cursor offset text }
    ... on MessageFinished { message { id status content attempt finishReason error { code } } }
  }
}`

// Watch follows one reply with a client that has subscribe(request, sink), which
// both graphql-ws and graphql-sse do, and keeps its text by the documented rule.
export class Watch {
  events = []
  content = ''
  cursor = null
  // partial is the text before MessageFinished replaced it.
  partial = null
  #waiting = []

  // With resume, a client that connects again goes on behind the latest cursor: it
  // reads variables anew for each connection. With from, an earlier Watch, the first
  // connection goes on where that one ended.
  constructor(client, id, { resume = false, from = null } = {}) {
    const watch = this
    watch.cursor = from?.cursor ?? null
    watch.content = from?.content ?? ''
    const request = {
      query: watchDocument,
      operationName: 'Watch',
      get variables() {
        return { id, after: resume || watch.events.length === 0 ? watch.cursor : null }
      },
    }
    watch.done = new Promise((resolve, reject) => {
      watch.stop = client.subscribe(request, {
        next: (result) => {
          try {
            watch.#take(result)
          } catch (error) {
            reject(error)
          }
        },
        error: reject,
        complete: () => resolve(watch),
      })
    })
    watch.done.catch(() => {}) // Whoever awaits it sees it; nobody has to.
  }

  #take(result) {
    assert.equal(result.errors, undefined, `errors in the stream: ${JSON.stringify(result.errors)}`)
    const event = result.data.messageEvents
    assert.notEqual(this.events.at(-1)?.__typename, 'MessageFinished', 'an event came behind MessageFinished')
    switch (event.__typename) {
      case 'MessageSnapshot':
        this.content = event.message.content
        break
      case 'MessageDelta':
        assert.notEqual(event.text, '', 'a delta is never empty')
        assert.ok(
          this.content.length >= event.offset,
          `a hole: ${this.content.length} units held, offset ${event.offset}`,
        )
        this.content = this.content.slice(0, event.offset) + event.text
        assert.ok(this.content.isWellFormed?.() ?? true, 'half a character')
        break
      case 'MessageFinished':
        this.partial = this.content
        this.content = event.message.content
    }
    this.cursor = event.cursor ?? this.cursor
    this.events.push(event)
    this.#waiting = this.#waiting.filter((ready) => !ready())
  }

  // when resolves as soon as check(watch) holds, and rejects when the stream ends
  // before.
  when(check) {
    const seen = new Promise((resolve) => {
      const ready = () => check(this) && (resolve(), true)
      if (!ready()) this.#waiting.push(ready)
    })
    return Promise.race([
      seen,
      this.done.then(() => assert.ok(check(this), 'the stream ended before what the test waits for')),
    ])
  }

  types() {
    return this.events.map((event) => event.__typename)
  }

  count(type) {
    return this.types().filter((t) => t === type).length
  }
}

// startProxy puts a TCP relay in front of a server, whose connections can be cut
// as a lost network cuts them: without a word of either protocol.
export async function startProxy(target) {
  const { hostname, port } = new URL(target)
  const sockets = new Set()
  const server = createServer((socket) => {
    const upstream = createConnection({ host: hostname, port: Number(port) })
    for (const [a, b] of [
      [socket, upstream],
      [upstream, socket],
    ]) {
      sockets.add(a)
      a.on('error', () => {})
      a.on('close', () => {
        sockets.delete(a)
        b.destroy()
      })
      a.pipe(b)
    }
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `http://127.0.0.1:${server.address().port}`,
    cut: () => sockets.forEach((socket) => socket.destroy()),
    close() {
      this.cut()
      server.close()
    },
  }
}

// freePort returns a port that is free now.
export async function freePort() {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address()
  server.close()
  await once(server, 'close')
  return port
}

// cleanEnvironment is ours without settings of Parley: those come from the test.
export function cleanEnvironment(settings = {}) {
  const inherited = Object.entries(process.env).filter(([name]) => !/^(PARLEY|OPENAI)_/.test(name))
  return { ...Object.fromEntries(inherited), ...settings }
}

// Parley is an installation of its own: a data folder, a database and an address
// that stay the same over restarts. Close it with the test.
export class Parley {
  #binary
  #settings
  #data = mkdtempSync(join(tmpdir(), 'parley-compat-'))
  #process = null
  #ended = null
  log = ''

  // start starts the binary under test, or another one.
  static async start(settings = {}, binary = process.env.PARLEY_BINARY) {
    const parley = new Parley()
    parley.#binary = binary
    const port = await freePort()
    parley.url = `http://127.0.0.1:${port}`
    parley.#settings = {
      PARLEY_ADDR: `127.0.0.1:${port}`,
      PARLEY_DATA_DIR: parley.#data,
      ...databaseSettings(),
      ...settings,
    }
    await parley.start()
    return parley
  }

  // start starts the binary, with further settings from now on.
  async start(settings = {}) {
    assert.ok(this.#binary, 'set PARLEY_BINARY to the built binary, see compat/README.md')
    Object.assign(this.#settings, settings)
    const child = spawn(this.#binary, [], {
      env: cleanEnvironment(this.#settings),
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    this.#process = child
    this.#ended = once(child, 'exit')
    child.stdout.on('data', (text) => (this.log += text))
    child.stderr.on('data', (text) => (this.log += text))
    await until(`parley is ready\n${this.log}`, 20_000, async () => {
      assert.equal(child.exitCode, null, `parley ended:\n${this.log}`)
      return (await fetch(`${this.url}/readyz`).catch(() => null))?.status === 200
    })
  }

  // kill ends it as a crash does.
  async kill() {
    this.#process.kill('SIGKILL')
    await this.#ended
  }

  // stop asks it to end and returns the exit status.
  async stop() {
    this.#process.kill('SIGTERM')
    const [code] = await this.#ended
    return code
  }

  async close() {
    if (this.#process.exitCode === null && this.#process.signalCode === null) await this.kill()
    rmSync(this.#data, { recursive: true, force: true })
  }
}

// noPostgres says why Parley.start cannot use Postgres although the run is for it,
// or is false. Tests that are about the database are skipped then; the others run
// on SQLite.
export const noPostgres =
  process.env.PARLEY_DATABASE === 'postgres' &&
  !process.env.PARLEY_TEST_POSTGRES_URL &&
  'PARLEY_TEST_POSTGRES_URL is not set: no Postgres to make databases on'

// databaseSettings gives a Parley a database of the kind that the run is for.
function databaseSettings() {
  if (process.env.PARLEY_DATABASE !== 'postgres' || noPostgres) return {}
  const url = new URL(process.env.PARLEY_TEST_POSTGRES_URL)
  const name = `compat_${randomUUID().replaceAll('-', '')}`
  const made = spawnSync('psql', ['--no-psqlrc', '--command', `CREATE DATABASE ${name}`, url.href], {
    encoding: 'utf8',
  })
  assert.equal(made.status, 0, `psql: ${made.error ?? made.stderr}`)
  url.pathname = `/${name}`
  return { PARLEY_DATABASE_URL: url.href }
}

// Queries are those that a test asks while a reply grows. An answer from before the end that comes behind it takes its
// place in a client's cache, whatever the client: whoever asks so late asks once more.
export class Queries {
  #all = []
  #open = 0

  get length() {
    return this.#all.length
  }

  push(query) {
    this.#open++
    this.#all.push(query.finally(() => this.#open--))
  }

  // settled waits for all; again is called where one was still under way.
  async settled(again) {
    const isLate = this.#open > 0
    await Promise.all(this.#all)
    if (isLate) await again()
  }
}
