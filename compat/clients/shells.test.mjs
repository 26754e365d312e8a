// What the documents show for a shell: README.md's commands for curl are run as they stand in every shell that people
// have, and no block anywhere needs one of them, or the tools of one system.
import assert from 'node:assert/strict'
import { execFile, spawnSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { cleanEnvironment, serverURL } from '../lib/parley.mjs'

const root = join(dirname(fileURLToPath(import.meta.url)), '../..')
const skipped = ['node_modules', 'data', 'bin', 'ent', 'internal']

// documents are the Markdown files below a folder.
function documents(folder) {
  return readdirSync(join(root, folder), { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name)
    if (entry.isDirectory()) return entry.name.startsWith('.') || skipped.includes(entry.name) ? [] : documents(path)
    return entry.name.endsWith('.md') ? [path] : []
  })
}

// blocks are the parts of a document that are in a language, as { place, code }.
function blocks(path, language) {
  const text = readFileSync(join(root, path), 'utf8')
  return [...text.matchAll(new RegExp('^```' + language + '\\n(.*?)^```$', 'gms'))].map((match) => ({
    place: `${path}:${text.slice(0, match.index).split('\n').length + 1}`,
    code: match[1],
  }))
}

const shells = {
  bash: ['bash'],
  zsh: ['zsh'],
  dash: ['dash'],
  // What is pasted: there zsh takes no comments.
  'zsh at a terminal': ['zsh', '-f', '-i'],
}

// feed gives a shell commands as if they were typed, and returns what it printed. It calls then behind the first ones.
function feed([shell, ...args], [first, ...others], then) {
  return new Promise((resolve, reject) => {
    const child = execFile(shell, args, { env: cleanEnvironment(), timeout: 500_000 }, (error, stdout, stderr) =>
      error ? reject(error) : resolve({ stdout, stderr }),
    )
    child.stdout.once('data', then)
    child.stdin.end([first, 'printf "first done\\n"\n', ...others].join('\n'))
  })
}

test('the commands of "From a shell"', { concurrency: true, timeout: 600_000 }, async (t) => {
  const code = blocks('README.md', 'sh')
    .map((block) => block.code)
    .filter((code) => /^\s*(api|\w+=.*api) /m.test(code) || code.includes('api()'))
  assert.equal(code.length, 3, 'sign up, one call, a stream')
  const commands = code.map((block) => block.replaceAll('127.0.0.1:8080', new URL(serverURL()).host))
  // They sign up one after the other: a server hashes few passwords at once, and then says so.
  let turn = Promise.resolve()
  assert.ok(code[0].includes('127.0.0.1:8080'), 'they name the server')
  await Promise.all(
    Object.entries(shells).map(([name, shell]) =>
      t.test(name, async () => {
        const before = turn
        let done
        turn = new Promise((resolve) => (done = resolve))
        await before
        const { stdout, stderr } = await feed(shell, commands, done).finally(done)
        const seen = `${stdout}\n${stderr}`
        assert.match(stdout, /"reply":\{"id":"msg_\w+","content":"[^"]+","status":"COMPLETED"\}/, `one call: ${seen}`)
        const events = [...stdout.matchAll(/^data: (\{.*\})$/gm)].map(([, json]) => JSON.parse(json).data.messageEvents)
        let content
        for (const event of events) {
          content = event.message?.content ?? content.slice(0, event.offset) + event.text
        }
        assert.equal(events[0]?.__typename, 'MessageSnapshot', `a stream: ${seen}`)
        assert.ok(events.length > 10, `it grows: ${seen}`)
        assert.deepEqual(events.at(-1), {
          __typename: 'MessageFinished',
          message: { content: content, status: 'COMPLETED' },
        })
        assert.match(content, /^Tell me more about your family\./, 'and none of it is lost')
      }),
    ),
  )
})

// foreign is what the tools of macOS do not have, or do in another way.
const foreign = ['sed -i', 'grep -\\w*P', 'base64 -w', 'date -d', 'readlink -f', 'stat -c', 'xargs -d', 'sort -V']
foreign.push('timeout \\d+', 'tac', 'nproc', 'sha256sum')

test('every block for a shell is for every shell, on Linux and macOS', () => {
  const all = documents('.').flatMap((path) => blocks(path, '(?:sh|bash|shell|console)'))
  assert.ok(all.length >= 10, `found ${all.length} blocks`)
  for (const { place, code } of all) {
    assert.doesNotMatch(code, /(^|\s)#/, `${place}: zsh at a terminal takes a comment for arguments`)
    for (const tool of foreign) assert.doesNotMatch(code, new RegExp(`\\b${tool}\\b`), `${place}: not on macOS`)
    for (const shell of ['bash', 'zsh', 'dash']) {
      const { status, stderr, error } = spawnSync(shell, ['-n'], { input: code, encoding: 'utf8' })
      assert.equal(status, 0, `${place} in ${shell}: ${error ?? stderr}`)
    }
    check(place, ['--shell=sh', '--exclude=SC2034,SC2164'], code)
  }
})

test('the example in shell has no fault that shellcheck knows', () => {
  const path = 'examples/curl/chat.sh'
  // GraphQL has $variables of its own, and jq sets some of bash's.
  check(path, ['--exclude=SC2016,SC2154'], readFileSync(join(root, path), 'utf8'))
})

function check(place, options, code) {
  const run = spawnSync('shellcheck', [...options, '-'], { input: code, encoding: 'utf8' })
  assert.equal(run.status, 0, `${place}: ${run.error ?? run.stdout + run.stderr}`)
}
