// A model server that a test scripts: the third party of most tests, in this process.
import { once } from 'node:events'
import http from 'node:http'

// serveModel lists one model and has reply say each answer. reply gets { question, say, closed, response }: the
// newest message, what writes a piece, what resolves when the caller has gone, and the raw response. When it is
// done the answer ends as a model server ends it. It returns the base URL, and ends with the test.
export async function serveModel(t, reply) {
  const server = http.createServer(async (request, response) => {
    if (request.method === 'GET') {
      return response.end(JSON.stringify({ object: 'list', data: [{ id: 'paced', object: 'model' }] }))
    }
    let body = ''
    for await (const piece of request.setEncoding('utf8')) body += piece
    const question = JSON.parse(body).messages.at(-1).content
    const closed = once(response, 'close')
    response.writeHead(200, { 'Content-Type': 'text/event-stream' })
    const frame = (delta, reason = null) => {
      const choices = [{ index: 0, delta, finish_reason: reason }]
      const said = { id: 'c', object: 'chat.completion.chunk', created: 1, model: 'paced', choices }
      response.write(`data: ${JSON.stringify(said)}\n\n`)
    }
    await reply({ question, say: (content) => frame({ content }), closed, response })
    if (response.destroyed) return
    frame({}, 'stop')
    response.end('data: [DONE]\n\n')
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => {
    server.close()
    server.closeAllConnections()
  })
  return `http://127.0.0.1:${server.address().port}/v1`
}
