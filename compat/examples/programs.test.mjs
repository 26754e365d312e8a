// Every program of examples/, started with the commands of its README: a whole
// reply, one that fails, one that is long, one that is written again, and in the middle of one a token that ends,
// a connection that is cut and a server that is killed. Where it matters when a reply
// goes on, the model server is ours; otherwise it is the built-in model "script".
import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { dirname, join } from 'node:path'
import { after, before, test } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { serveModel } from '../lib/model.mjs'
import {
  call,
  cleanEnvironment,
  data,
  Parley,
  password,
  signInDocument,
  signUp,
  startProxy,
  until,
} from '../lib/parley.mjs'

const folder = join(dirname(fileURLToPath(import.meta.url)), '../../examples')
const npm = {
  install: ['npm', 'ci'],
  start: ['npm', 'start', '--'],
  restart: ['npm', 'start', '--ignore-scripts', '--'],
}
const go = { start: ['go', 'run', '.'] }

const programs = [
  { name: 'apollo', ...npm, versions: true },
  { name: 'urql', ...npm },
  { name: 'relay', ...npm, versions: true },
  { name: 'fetch', ...npm },
  { name: 'go', ...go, skip: missing('go', 'version') },
  { name: 'curl', start: ['./chat.sh'], skip: missing('jq', '--version') || missing('curl', '--version') },
]
const runnable = programs.filter((program) => !program.skip)

function missing(command, argument) {
  return spawnSync(command, [argument]).status !== 0 && `${command} is not installed`
}

// The reply is the same for all: characters of two UTF-16 units, and of several bytes.
const words = Array.from({ length: 20 }, (_, i) => `word${i}🎉é`)
const reply = words.join(' ')
const beginning = words.slice(0, 5).join(' ')

// startModel is a model server that says the beginning at once and the rest when
// the gate of its question opens.
async function startModel(t) {
  const gates = new Map()
  const model = {
    // hold keeps replies to a question after their beginning until open is called.
    hold(question) {
      let open
      const opened = new Promise((resolve) => (open = resolve))
      gates.set(question, opened)
      return open
    },
  }
  model.baseURL = await serveModel(t, async ({ question, say, closed }) => {
    say(beginning)
    await Promise.race([gates.get(question), closed])
    for (const word of words.slice(5)) say(` ${word}`)
  })
  return model
}

// environment is ours without what npm test tells its own script.
function environment(settings) {
  const inherited = Object.entries(cleanEnvironment()).filter(
    ([name]) => !/^(npm_(package|lifecycle|command|config_local_prefix|config_loglevel)|INIT_CWD)/.test(name),
  )
  return { ...Object.fromEntries(inherited), ...settings }
}

const running = new Set()

// start runs a command in the folder of a program, in a process group of its own.
function start({ name }, command, settings = {}) {
  const child = spawn(command[0], command.slice(1), {
    cwd: join(folder, name),
    env: environment(settings),
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
  })
  const run = { output: '', errors: '' }
  running.add(child)
  const stop = () => running.delete(child) && process.kill(-child.pid, 'SIGKILL')
  const limit = setTimeout(stop, 500_000)
  let check = () => {}
  child.stdout.setEncoding('utf8').on('data', (text) => {
    run.output += text
    check()
  })
  child.stderr.setEncoding('utf8').on('data', (text) => (run.errors += text))
  // ended is the exit status; a run that takes too long ends with null.
  run.ended = once(child, 'close').then(([code]) => {
    clearTimeout(limit)
    running.delete(child)
    return code
  })
  // printed resolves when the text is on its standard output, or when it has ended.
  run.printed = (text) =>
    Promise.race([run.ended, new Promise((resolve) => (check = () => run.output.includes(text) && resolve()))])
  return run
}

after(() => {
  for (const child of running) process.kill(-child.pid, 'SIGKILL')
})

// finished expects that a run went well, that the last thing it printed is the
// reply, and that it never printed anything else of it than a beginning.
async function finished(run) {
  const code = await run.ended
  const said = `standard output:\n${run.output}\nstandard error:\n${run.errors}`
  assert.equal(code, 0, said)
  const lines = run.output.split('\n').filter((line) => line.startsWith(words[0]))
  assert.equal(lines.at(-1), reply, said)
  assert.ok(run.output.endsWith(`${reply}\n`), said)
  for (const line of lines) assert.ok(reply.startsWith(line), `no beginning of the reply: ${line}\n${said}`)
}

// account makes a user, and a way to read the reply that is stored for it.
async function account(url) {
  const { email } = await signUp(url)
  return {
    settings: { PARLEY_URL: url, PARLEY_EMAIL: email, PARLEY_PASSWORD: password },
    // storedAfter reads it as soon as a run has ended.
    storedAfter(run) {
      const stored = run.ended.then(() => this.stored())
      stored.catch(() => {}) // Whoever awaits it sees it.
      return stored
    },
    async stored() {
      const query = '{ conversations { nodes { messages { nodes { role status content attempt } } } } }'
      // A token of 5 seconds can be too short for a machine that does six things at once.
      const { conversations } = await until(`the reply of ${email} can be read`, 30_000, async () => {
        const { signIn } = await data(url, signInDocument, { input: { email, password } })
        return (await call(url, query, {}, signIn.accessToken)).data
      })
      assert.equal(conversations.nodes.length, 1, 'one conversation')
      const messages = conversations.nodes[0].messages.nodes
      assert.deepEqual(
        messages.map(({ role }) => role),
        ['USER', 'ASSISTANT'],
        'one question and one reply',
      )
      assert.equal(messages[1].status, 'COMPLETED')
      return messages[1]
    },
  }
}

before(async () => {
  for (const program of runnable.filter(({ install }) => install)) {
    const run = start(program, program.install)
    assert.equal(await run.ended, 0, `${program.name}: npm ci\n${run.output}\n${run.errors}`)
  }
})

test('a new account, and a reply that is printed while it grows', { timeout: 600_000 }, async (t) => {
  const model = await startModel(t)
  const parley = await Parley.start({ OPENAI_BASE_URL: model.baseURL })
  t.after(() => parley.close())

  const runs = runnable.map((program) => {
    const open = model.hold(program.name)
    // The development builds of the clients, which warn on the console.
    const settings = { PARLEY_URL: parley.url, NODE_OPTIONS: '--conditions=development' }
    const run = start(program, [...program.start, program.name], settings)
    return { program, run, grown: run.printed(beginning).then(open) }
  })

  for (const program of programs.filter(({ skip }) => skip))
    await t.test(program.name, { skip: program.skip }, () => {})
  for (const { program, run, grown } of runs) {
    await t.test(program.name, async () => {
      await grown
      await finished(run)
      assert.equal(run.errors, '', 'nothing to warn of')
    })
  }
})

test('a reply that fails, and one that is long', { timeout: 600_000 }, async (t) => {
  const parley = await Parley.start({ PARLEY_MODEL: 'script' })
  t.after(() => parley.close())

  const runs = runnable.map((program) => {
    const settings = { PARLEY_URL: parley.url }
    const say = (message) => start(program, [...(program.restart ?? program.start), message], settings)
    return { program, fails: say('Tides. /fail-at 5'), long: say('/long 200 /slow 5') }
  })

  for (const { program, fails, long } of runs) {
    await t.test(program.name, async () => {
      assert.equal(await fails.ended, 1, `${fails.output}\n${fails.errors}`)
      assert.match(fails.output, /Tides\. The harbour lies still/, 'the text so far')
      assert.match(fails.errors, /FAILED.*The model server failed in the middle of the reply\./, 'and why it failed')

      assert.equal(await long.ended, 0, `${long.output.slice(-1_000)}\n${long.errors}`)
      const text = long.output.slice(long.output.indexOf('The harbour'))
      assert.equal(text.trimEnd().length, 200 * 1024 - 2, 'all of it, once')
    })
  }
})

test('a reply that is written again, and its versions in turn', { timeout: 600_000 }, async (t) => {
  const parley = await Parley.start({ PARLEY_MODEL: 'script' })
  t.after(() => parley.close())

  const runs = []
  for (const program of runnable.filter(({ versions }) => versions)) {
    const user = await account(parley.url)
    const command = [...program.restart, 'Tides /tokens 10 /slow 5', '--again']
    runs.push({ program, user, run: start(program, command, user.settings) })
  }

  for (const { program, user, run } of runs) {
    await t.test(program.name, async () => {
      assert.equal(await run.ended, 0, `${run.output}\n${run.errors}`)
      const [first, second, ...places] = run.output.trimEnd().split('\n').slice(-4)
      assert.ok(first.startsWith('Tides') && second === first, run.output)
      assert.deepEqual(places, ['‹ 2/2 ›', '‹ 1/2 ›'])
      const query = '{ conversations { nodes { messages { nodes { content siblingCount siblingPosition } } } } }'
      const email = user.settings.PARLEY_EMAIL
      const { signIn } = await data(parley.url, signInDocument, { input: { email, password } })
      const { conversations } = await data(parley.url, query, {}, signIn.accessToken)
      const [, reply, ...more] = conversations.nodes[0].messages.nodes
      assert.deepEqual(reply, { content: first, siblingCount: 2, siblingPosition: 1 })
      assert.deepEqual(more, [])
    })
  }
})

test('a token that ends in the middle of a reply', { timeout: 600_000 }, async (t) => {
  const model = await startModel(t)
  const lifetime = 5_000
  const parley = await Parley.start({ OPENAI_BASE_URL: model.baseURL, PARLEY_ACCESS_TTL: `${lifetime}ms` })
  t.after(() => parley.close())

  const runs = []
  for (const program of runnable) {
    const user = await account(parley.url)
    const open = model.hold(program.name)
    const run = start(program, [...(program.restart ?? program.start), program.name], user.settings)
    // What it prints after this cannot have come with its first token.
    const ended = run
      .printed(beginning)
      .then(() => pause(lifetime))
      .then(open)
    runs.push({ program, run, ended, stored: user.storedAfter(run) })
  }

  for (const { program, run, ended, stored } of runs) {
    await t.test(program.name, async () => {
      await ended
      await finished(run)
      assert.equal((await stored).content, reply)
    })
  }
})

test('a connection that is cut in the middle of a reply', { timeout: 600_000 }, async (t) => {
  const model = await startModel(t)
  const parley = await Parley.start({ OPENAI_BASE_URL: model.baseURL })
  const proxy = await startProxy(parley.url)
  t.after(() => {
    proxy.close()
    return parley.close()
  })

  const runs = []
  for (const program of runnable) {
    const user = await account(parley.url)
    const open = model.hold(program.name)
    const settings = { ...user.settings, PARLEY_URL: proxy.url }
    const run = start(program, [...(program.restart ?? program.start), program.name], settings)
    runs.push({ program, open, run, stored: user.storedAfter(run) })
  }
  await Promise.all(runs.map(({ run }) => run.printed(beginning)))
  proxy.cut()
  for (const { open } of runs) open()

  for (const { program, run, stored } of runs) {
    await t.test(program.name, async () => {
      await finished(run)
      assert.equal(run.output.split(beginning).length, 2, `nothing is printed twice:\n${run.output}`)
      assert.equal((await stored).content, reply)
    })
  }
})

test('a server that is killed in the middle of a reply', { timeout: 600_000 }, async (t) => {
  const model = await startModel(t)
  // On Postgres the reply is taken over when the lease of the dead server has ended.
  const parley = await Parley.start({ OPENAI_BASE_URL: model.baseURL, PARLEY_LEASE: '3s' })
  t.after(() => parley.close())

  const runs = []
  for (const program of runnable) {
    const user = await account(parley.url)
    const open = model.hold(program.name)
    const run = start(program, [...(program.restart ?? program.start), program.name], user.settings)
    runs.push({ program, open, run, stored: user.storedAfter(run) })
  }
  await Promise.all(runs.map(({ run }) => run.printed(beginning)))
  await parley.kill()
  for (const { open } of runs) open()
  await parley.start()

  for (const { program, run, stored } of runs) {
    await t.test(program.name, async () => {
      await finished(run)
      const { content, attempt } = await stored
      assert.equal(content, reply)
      assert.equal(attempt, 2, 'the reply was written once more')
    })
  }
})
