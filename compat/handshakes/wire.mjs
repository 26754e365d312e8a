// The wire as the clients of this folder see it: sockets and multipart answers,
// message by message, with nothing tolerated that their parsers would not take.
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import http from 'node:http'
import WebSocket from 'ws'
import { signUp } from '../lib/parley.mjs'

// join signs a user up, one after the other: a server hashes few passwords at once.
let queue = Promise.resolve()
export const join = (base) => (queue = queue.catch(() => {}).then(() => signUp(base)))

// The names of messages in the two protocols of WebSockets.
const dialects = {
  'graphql-transport-ws': { start: 'subscribe', stop: 'complete', result: 'next' },
  'graphql-ws': { start: 'start', stop: 'stop', result: 'data' },
}

// Socket is one WebSocket, as an object with subscribe(request, sink) too.
export class Socket {
  messages = []
  #waiting = []
  #sinks = new Map()

  static async open(url, protocol, headers = {}) {
    const socket = new Socket()
    socket.dialect = dialects[protocol]
    socket.ws = new WebSocket(`${url.replace('http', 'ws')}/graphql`, [protocol], { headers })
    socket.ws.on('error', () => {}) // The close event follows.
    socket.closed = new Promise((resolve) =>
      socket.ws.on('close', (code, reason) => resolve({ code, reason: reason.toString() })),
    )
    socket.closed.then(() => socket.#sinks.forEach((sink) => sink.error(new Error('closed'))))
    socket.ws.on('message', (bytes, binary) => {
      assert.ok(!binary)
      socket.#take(JSON.parse(bytes))
    })
    await once(socket.ws, 'open')
    assert.equal(socket.ws.protocol, protocol)
    return socket
  }

  #take(message) {
    this.messages.push(message)
    const sink = this.#sinks.get(message.id)
    if (sink && message.type === this.dialect.result) sink.next(message.payload)
    if (sink && message.type === 'error') {
      this.#sinks.delete(message.id)
      sink.error(message.payload)
    }
    if (sink && message.type === 'complete') {
      this.#sinks.delete(message.id)
      sink.complete()
    }
    this.#waiting = this.#waiting.filter((look) => !look())
  }

  say(message) {
    this.ws.send(JSON.stringify(message))
  }

  // hear waits for a message of a type, told or not told already.
  hear(type) {
    const heard = new Promise((resolve) => {
      const look = () => {
        const message = this.messages.find((m) => m.type === type)
        return message && (resolve(message), true)
      }
      if (!look()) this.#waiting.push(look)
    })
    const closed = this.closed.then(({ code }) =>
      assert.fail(`closed with ${code}, want ${type}; heard ${JSON.stringify(this.messages.slice(-3))}`),
    )
    return Promise.race([heard, closed])
  }

  async init(payload) {
    this.say({ type: 'connection_init', ...(payload && { payload }) })
    assert.deepEqual(await this.hear('connection_ack'), { type: 'connection_ack' })
    return this
  }

  subscribe({ query, operationName, variables }, sink) {
    const id = randomUUID()
    this.#sinks.set(id, sink)
    this.say({ id, type: this.dialect.start, payload: { operationName, variables, query } })
    return () => {
      this.#sinks.delete(id)
      this.say({ id, type: this.dialect.stop })
    }
  }

  // once runs a query or mutation and returns its result.
  once(query, variables) {
    return new Promise((resolve, reject) => {
      let result
      this.subscribe(
        { query, variables },
        { next: (r) => (result = r), error: reject, complete: () => resolve(result) },
      )
    })
  }

  close(code = 1000) {
    this.ws.close(code)
    return this.closed
  }
}

// Cut is the error of a stream that ends before its last boundary.
export class Cut extends Error {}

const delimiter = '\r\n--graphql'

// multipart follows subscriptions as multipart/mixed, strictly by Apollo's
// description of the protocol.
export const multipart = (url, headers) => ({
  heartbeats: 0,
  subscribe({ query, operationName, variables }, sink) {
    const request = http.request(`${url}/graphql`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json', ...headers },
    })
    request.on('error', () => sink.error(new Cut('request')))
    request.on('response', (response) => {
      try {
        assert.equal(response.statusCode, 200)
        assert.equal(response.headers['content-type'], 'multipart/mixed;boundary="graphql";subscriptionSpec=1.0')
      } catch (error) {
        return sink.error(error)
      }
      let held = ''
      let parts = 0
      let ended = false
      response.setEncoding('utf8')
      response.on('data', (text) => {
        held += text
        try {
          assert.ok(!ended, 'nothing comes behind the last boundary')
          for (let end; (end = held.indexOf(delimiter)) >= 0; parts++) {
            const part = held.slice(0, end)
            held = held.slice(end + delimiter.length)
            if (parts > 0) this.take(part, sink)
            else assert.equal(part, '', 'no preamble')
          }
          // What is held now is the beginning of a part, or the mark of the last one.
          ended = held === '--\r\n'
          assert.ok(ended || held === '', `each part is sent with the boundary behind it: ${JSON.stringify(held)}`)
          if (ended) sink.complete()
        } catch (error) {
          sink.error(error)
          request.destroy()
        }
      })
      response.on('close', () => ended || sink.error(new Cut('response')))
    })
    request.end(JSON.stringify({ operationName, variables, query }))
    return () => request.destroy()
  },
  take(part, sink) {
    const [, body] =
      part.match(/^\r\nContent-Type: application\/json\r\n\r\n(.*)$/s) ?? assert.fail(`a part: ${JSON.stringify(part)}`)
    const message = JSON.parse(body)
    if (Object.keys(message).length === 0) {
      this.heartbeats++
      return this.beat?.()
    }
    assert.deepEqual(Object.keys(message), ['payload'])
    sink.next(message.payload)
  },
})
