// Known documents as Apollo Client's persisted-queries link asks for them, over HTTP and
// over GraphQLWsLink, which sends the text beside the id.
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { ApolloClient, gql, HttpLink, InMemoryCache } from '@apollo/client'
import { PersistedQueryLink } from '@apollo/client/link/persisted-queries'
import { GraphQLWsLink } from '@apollo/client/link/subscriptions'
import { createClient } from 'graphql-ws'
import WebSocket from 'ws'
import { Parley } from '../lib/parley.mjs'

globalThis.WebSocket ??= WebSocket

const query = gql`
  query Known {
    viewer {
      name
    }
  }
`
const sha256 = (text) => createHash('sha256').update(text).digest('hex')
const ask = (link) =>
  new ApolloClient({ link, cache: new InMemoryCache() }).query({ query, fetchPolicy: 'network-only' })

test('a known id is enough, whatever text stands beside it', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'parley-documents-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  const manifest = join(folder, 'documents.json')
  writeFileSync(manifest, JSON.stringify({ 'known-1': 'query Known { viewer { __typename name } }' }))
  const parley = await Parley.start({ PARLEY_DOCUMENTS: manifest, PARLEY_DOCUMENTS_ONLY: 'on' })
  t.after(() => parley.close())
  const client = createClient({ url: parley.url.replace('http', 'ws') + '/graphql' })
  t.after(() => client.dispose())
  for (const last of [new HttpLink({ uri: `${parley.url}/graphql` }), new GraphQLWsLink(client)]) {
    const { data } = await ask(new PersistedQueryLink({ generateHash: () => 'known-1' }).concat(last))
    assert.deepEqual(data, { viewer: null })
    await assert.rejects(ask(last), /known operations only/)
  }
})

test('without a manifest Apollo asks once, and sends texts from then on', async (t) => {
  const parley = await Parley.start()
  t.after(() => parley.close())
  const sent = []
  const fetching = (uri, options) => {
    sent.push(JSON.parse(options.body))
    return fetch(uri, options)
  }
  const link = new PersistedQueryLink({ sha256 }).concat(
    new HttpLink({ uri: `${parley.url}/graphql`, fetch: fetching }),
  )
  const client = new ApolloClient({ link, cache: new InMemoryCache() })
  for (let i = 0; i < 3; i++) {
    const { data } = await client.query({ query, fetchPolicy: 'network-only' })
    assert.deepEqual(data, { viewer: null })
  }
  assert.deepEqual(
    sent.map((body) => [body.query !== undefined, body.extensions?.persistedQuery !== undefined]),
    [
      [false, true],
      [true, false],
      [true, false],
      [true, false],
    ],
  )
})
