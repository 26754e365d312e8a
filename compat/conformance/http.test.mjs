// The audit of graphql-http: every MUST, SHOULD and MAY of GraphQL over HTTP.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { serverAudits } from 'graphql-http'
import { serverURL } from '../lib/parley.mjs'

// The audit sends its GETs as any page of another origin could, which executes
// nothing here: the header says that it is none.
const fetchFn = (url, init = {}) =>
  fetch(url, { ...init, headers: { ...init.headers, 'GraphQL-Require-Preflight': '1' } })

const audits = serverAudits({ url: `${serverURL()}/graphql`, fetchFn })

test('the audit has 61 checks', () => assert.equal(audits.length, 61))

for (const audit of audits) {
  test(`${audit.id} ${audit.name}`, async () => {
    const result = await audit.fn()
    assert.equal(result.status, 'ok', `${result.status}: ${result.reason}`)
  })
}
