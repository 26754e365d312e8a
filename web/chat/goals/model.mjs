// The model that the goals are measured with: it writes what a question asks for, as JSON: a document of some kind and
// size, so much of it at once, and the rest, when it is let go on, at a steady rate of
// tokens a second.
import { once } from 'node:events';
import http from 'node:http';
import { setTimeout as pause } from 'node:timers/promises';
import { documentOf } from './text.mjs';

/** How much one token is. */
const tokenSize = 5;

/** serveModel returns the base URL, what lets those go on that wait behind their head, and how to close it. */
export async function serveModel() {
  const waiting = new Set();
  const server = http.createServer((request, response) => void answer(request, response, waiting));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${server.address().port}/v1`,
    goOn() {
      for (const go of waiting) go();
      waiting.clear();
    },
    close() {
      server.close();
      server.closeAllConnections();
    },
  };
}

async function answer(request, response, waiting) {
  if (request.method === 'GET') return response.end(JSON.stringify({ object: 'list', data: [{ id: 'goals' }] }));
  let body = '';
  for await (const piece of request.setEncoding('utf8')) body += piece;
  const { kind, size, rate, ahead = 0 } = JSON.parse(JSON.parse(body).messages.at(-1).content);
  response.writeHead(200, { 'Content-Type': 'text/event-stream' });
  const text = documentOf(kind, size);
  if (ahead) {
    frame(response, { content: text.slice(0, ahead) }, null);
    await new Promise((go) => waiting.add(go));
  }
  const began = performance.now();
  for (let at = ahead; at < text.length && !response.destroyed;) {
    // What is due by now, in tokens: a late timer makes them no fewer.
    const due = Math.min(text.length, ahead + Math.ceil(((performance.now() - began) * rate) / 1000) * tokenSize);
    for (; at < due; at += tokenSize) frame(response, { content: text.slice(at, at + tokenSize) }, null);
    await pause(4);
  }
  if (response.destroyed) return;
  frame(response, {}, 'stop');
  response.end('data: [DONE]\n\n');
}

function frame(response, delta, reason) {
  const choices = [{ index: 0, delta, finish_reason: reason }];
  const chunk = { id: 'c', object: 'chat.completion.chunk', created: 1, model: 'goals', choices };
  response.write(`data: ${JSON.stringify(chunk)}\n\n`);
}
