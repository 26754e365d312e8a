// @parley/client as it is published, and connections that break where a test says.
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { WebSocket } from 'ws'
import { signUp } from '../lib/parley.mjs'

export const folder = join(dirname(fileURLToPath(import.meta.url)), '../../packages/client')

// build compiles the package into a folder that ends with the process, and returns its path.
export function build() {
  const out = mkdtempSync(join(tmpdir(), 'parley-client-'))
  process.on('exit', () => rmSync(out, { recursive: true, force: true }))
  const tsc = fileURLToPath(import.meta.resolve('typescript/bin/tsc'))
  const run = spawnSync(process.execPath, [tsc, '-p', folder, '--outDir', out], { encoding: 'utf8' })
  assert.equal(run.status, 0, run.stdout)
  return out
}

export const dist = build()
export const client = await import(pathToFileURL(join(dist, 'index.js')).href)

// transports are the options of a session for each: Node 20 has no WebSocket of its own.
export const transports = { WebSocket: { webSocket: WebSocket }, 'Server-Sent Events': { webSocket: null } }

// enter begins a session of a new user, or of the same one with tokens.
export async function enter(url, options = {}, tokens = undefined) {
  tokens ??= await signUp(url)
  const session = client.session({ url: `${url}/graphql`, webSocket: null, ...options })
  await session.adopt(tokens)
  return session
}

// cutSocket is a WebSocket that dies at its frame number n, in the first connection only: with the frame when whole,
// before it otherwise.
export function cutSocket(n, whole) {
  let first = true
  return class extends WebSocket {
    #left = first ? n : Infinity
    constructor(...where) {
      super(...where)
      first = false
    }
    emit(name, ...rest) {
      if (name !== 'message') return super.emit(name, ...rest)
      if (this.#left <= 0) return false
      if (--this.#left > 0) return super.emit(name, ...rest)
      if (whole) super.emit(name, ...rest)
      this.terminate()
      return true
    }
  }
}

// cutFetch does the same to the first stream of Server-Sent Events. A frame that is not whole is half there.
export function cutFetch(n, whole) {
  let first = true
  return async (url, init) => {
    const response = await fetch(url, init)
    if (init.headers.Accept !== 'text/event-stream' || !first) return response
    first = false
    let left = n
    const cut = new TransformStream({
      transform(chunk, controller) {
        for (const frame of chunk.toString().split(/(?<=\n\n)/)) {
          if (left-- > 1) controller.enqueue(new TextEncoder().encode(frame))
          else {
            controller.enqueue(new TextEncoder().encode(whole ? frame : frame.slice(0, frame.length / 2)))
            return controller.error(new Error('cut'))
          }
        }
      },
    })
    const text = new TransformStream({
      start() {
        this.decoder = new TextDecoder()
      },
      transform(chunk, controller) {
        controller.enqueue(this.decoder.decode(chunk, { stream: true }))
      },
    })
    return new Response(response.body.pipeThrough(text).pipeThrough(cut), response)
  }
}

// states collects what an iterator gives; each state is checked against the one before it.
export async function states(iterator, check = grows) {
  const all = []
  for await (const state of iterator) {
    check(all.at(-1) ?? state, state)
    all.push(state)
  }
  return all
}

// grows says that no character is lost or repeated within an attempt.
export function grows(before, after) {
  assert.ok(after.attempt >= before.attempt, 'an attempt that was over is back')
  if (after.attempt > before.attempt) return
  assert.ok(after.content.startsWith(before.content), `${before.content}\n${after.content}`)
  assert.ok(after.reasoning.startsWith(before.reasoning))
}
