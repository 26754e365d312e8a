// What each client does on its own wire. connect(base, token) gives an object with
// subscribe(request, sink).
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { data, finalMessage, Parley, readMessage, refreshDocument, send, serverURL, Watch } from '../lib/parley.mjs'
import { Cut, join } from './wire.mjs'

const url = serverURL()

// The built-in model repeats most of this: a reply of about 25 words, 5 seconds.
export const long = 'If the river had no water and the sea had no salt and nobody had a boat'

const stop = 'mutation ($id: ID!) { stopReply(input: {messageId: $id}) { message { id status } } }'

const cutOff = (error) => error instanceof Cut || error.message === 'closed'

async function assertWhole(watch, base, token, id) {
  const stored = await finalMessage(base, token, id)
  assert.equal(stored.status, 'COMPLETED')
  assert.equal(watch.partial, stored.content, 'the deltas and the stored content')
  assert.equal(watch.content, stored.content)
  return stored
}

export function scenarios(connect) {
  test('a whole reply, word by word', async (t) => {
    const { token } = await join(url)
    const client = await connect(url, token, t)
    const { reply } = await send(url, token, { content: long })
    const watch = await new Watch(client, reply.id).done
    await assertWhole(watch, url, token, reply.id)
    assert.ok(watch.count('MessageDelta') >= 10, `want many deltas, got ${watch.types()}`)
  })

  test('an error has a code', async (t) => {
    const { token, user } = await join(url)
    const client = await connect(url, token, t)
    const results = []
    await new Promise((resolve, reject) => {
      const query = 'subscription ($id: ID!) { messageEvents(messageId: $id) { __typename } }'
      client.subscribe(
        { query, variables: { id: user.id } },
        { next: (r) => results.push(r), error: reject, complete: resolve },
      ) // No message.
    })
    assert.equal(results.length, 1)
    assert.equal(results[0].errors[0].extensions.code, 'NOT_FOUND')
  })

  test('stopReply ends the stream, and a cursor resumes one without a snapshot', async (t) => {
    const { token } = await join(url)
    const client = await connect(url, token, t)
    const { reply } = await send(url, token, { content: long })
    const first = new Watch(client, reply.id)
    await first.when((w) => w.count('MessageDelta') === 3)
    first.stop()
    const again = await connect(url, token, t)
    const second = new Watch(again, reply.id, { from: first })
    await second.when((w) => w.count('MessageDelta') === 3)
    await data(url, stop, { id: reply.id }, token)
    await second.done

    const stored = await readMessage(url, token, reply.id)
    assert.equal(second.count('MessageSnapshot'), 0)
    assert.deepEqual([stored.status, second.content], ['STOPPED', stored.content])
    assert.ok(stored.content.startsWith(second.partial) && second.partial !== '')
  })

  test('the server is killed in the middle, and the token ends: subscribe again', async (t) => {
    const parley = await Parley.start({ PARLEY_LEASE: '5s', PARLEY_ACCESS_TTL: '5s' })
    t.after(() => parley.close())
    let { token, refreshToken, expiresAt } = await join(parley.url)
    const { reply } = await send(parley.url, token, { content: long })
    const first = new Watch(await connect(parley.url, token, t), reply.id)
    await first.when((w) => w.count('MessageDelta') === 3)
    await parley.kill()
    await assert.rejects(first.done, cutOff)
    await parley.start()

    // The token has 3 seconds left or so: it ends the second stream. On a slow machine it
    // has ended already, and opens one for two minutes more. Fresh ones go on.
    const left = Date.parse(expiresAt) - Date.now()
    const second = (async () => new Watch(await connect(parley.url, token, t), reply.id).done)()
    if (left > 1_000) await assert.rejects(second)
    else await second.catch(() => {})
    for (let again = 0; ; again++) {
      ;({ accessToken: token, refreshToken } = (
        await data(parley.url, refreshDocument, { input: { refreshToken } })
      ).refreshSession)
      const watch = new Watch(await connect(parley.url, token, t), reply.id)
      const whole = await watch.done.then(
        () => true,
        (error) => !cutOff(error) || again > 3,
      )
      if (!whole) continue
      await watch.done
      assert.ok((await assertWhole(watch, parley.url, token, reply.id)).attempt >= 2)
      return
    }
  })
}
