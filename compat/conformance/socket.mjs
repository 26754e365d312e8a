// Socket speaks graphql-transport-ws by hand, one frame at a time: what a client
// library would hide is what is looked at here.
import assert from 'node:assert/strict'
import WebSocket from 'ws'
import { patience } from '../lib/parley.mjs'

export class Socket {
  #frames = []
  #waiting = []
  #setClosed
  closed = new Promise((resolve) => {
    this.#setClosed = resolve
  })

  static async open(url, { protocol = 'graphql-transport-ws', headers } = {}) {
    const socket = new Socket()
    socket.ws = protocol ? new WebSocket(url, protocol, { headers }) : new WebSocket(url, { headers })
    socket.ws.on('message', (data) => socket.#arrive(JSON.parse(data.toString())))
    socket.ws.on('close', (code, reason) => {
      socket.#setClosed({ code, reason: reason.toString() })
      socket.#arrive(null)
    })
    await new Promise((resolve, reject) => {
      socket.ws.once('open', resolve)
      socket.ws.once('error', reject)
    })
    return socket
  }

  // ready opens a socket that has been acknowledged.
  static async ready(url, payload, options) {
    const socket = await Socket.open(url, options)
    socket.send({ type: 'connection_init', ...(payload !== undefined && { payload }) })
    assert.equal((await socket.next()).type, 'connection_ack')
    return socket
  }

  #arrive(frame) {
    const waiting = this.#waiting.shift()
    if (waiting) waiting(frame)
    else this.#frames.push(frame)
  }

  // next is the next frame, or null at the end.
  async next() {
    if (this.#frames.length > 0) return this.#frames.shift()
    return timed('a frame', new Promise((resolve) => this.#waiting.push(resolve)))
  }

  send(frame) {
    this.ws.send(typeof frame === 'string' ? frame : JSON.stringify(frame))
  }

  subscribe(id, query, variables) {
    this.send({ id, type: 'subscribe', payload: { query, variables } })
  }

  async closesWith(code) {
    const end = await timed(`close ${code}`, this.closed)
    assert.equal(end.code, code, `closed with ${end.code} ${end.reason}, want ${code}`)
    return end
  }

  // quiet proves that nothing else comes: a ping is answered next.
  async quiet() {
    this.send({ type: 'ping' })
    assert.deepEqual(await this.next(), { type: 'pong' })
  }

  end() {
    this.ws.terminate()
  }
}

async function timed(what, promise) {
  let timer
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`not within ${patience} ms: ${what}`)), patience)
  })
  try {
    return await Promise.race([promise, late])
  } finally {
    clearTimeout(timer)
  }
}
