import assert from 'node:assert/strict'
import { reducing, scenarios } from './scenarios.mjs'

scenarios(
  'urql',
  reducing('urql/follow.js', async (load) => {
    const { client } = await load('urql/client.js')
    return {
      async query() {
        const { data, error } = await client.query('{ models { name } }', {})
        assert.equal(error, undefined)
        assert.equal(data.models[0].name, 'paced')
      },
    }
  }),
)
