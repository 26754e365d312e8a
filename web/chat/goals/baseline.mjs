// The page that is measured beside the chat page: the least that shows a talk. Text is put into the document as it
// comes, as text, a block a line; no Markdown, no framework, no list that is virtual.
import { once } from 'node:events';
import http from 'node:http';

const page = `<!doctype html><meta charset="utf-8"><title>Baseline</title>
<style>body{margin:0;font:16px/1.5 sans-serif}main{height:80vh;overflow:auto}article{max-width:44rem;margin:16px auto}
div{white-space:pre-wrap;overflow-wrap:anywhere}</style>
<form><input type="email" aria-label="E-mail address"><input type="password"><button>Sign in</button></form>
<main></main><textarea aria-label="Message"></textarea><script src="page.js"></script>`;

/** serveBaseline serves it; what it asks goes to the server by its full address. */
export async function serveBaseline() {
  const server = http.createServer((request, response) => {
    const isScript = request.url === '/page.js';
    response.setHeader('Content-Type', isScript ? 'text/javascript' : 'text/html');
    response.end(isScript ? `(${script})()` : page);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${server.address().port}/`,
    close() {
      server.close();
      server.closeAllConnections();
    },
  };
}

function script() {
  const main = document.querySelector('main');
  let article;
  let line;
  let isDue = false;

  function put(text) {
    for (const [i, part] of text.split('\n').entries()) {
      if (i > 0) article.append((line = document.createElement('div')));
      if (part && line.lastChild) line.lastChild.appendData(part);
      else if (part) line.append(part);
    }
    if (isDue) return;
    isDue = true;
    requestAnimationFrame(() => {
      isDue = false;
      main.scrollTop = main.scrollHeight;
    });
  }

  function begin(text) {
    main.append((article = document.createElement('article')));
    article.append((line = document.createElement('div')));
    put(text);
  }

  globalThis.baseline = {
    async open(url, token, query, variables) {
      const response = await fetch(`${url}/graphql`, {
        method: 'POST',
        headers: { 'Content-Type': 'application/json', Authorization: `Bearer ${token}` },
        body: JSON.stringify({ query, variables }),
      });
      const { data, errors } = await response.json();
      if (errors) throw new Error(JSON.stringify(errors));
      for (const { node } of data.conversation.messages.edges) begin(node.content);
    },
    follow(url, token, query, variables) {
      const socket = new WebSocket(`${url.replace('http', 'ws')}/graphql`, 'graphql-transport-ws');
      const send = (frame) => socket.send(JSON.stringify(frame));
      socket.onopen = () => send({ type: 'connection_init', payload: { Authorization: `Bearer ${token}` } });
      return new Promise((resolve) => {
        socket.onmessage = ({ data }) => {
          const { type, payload } = JSON.parse(data);
          if (type === 'ping') send({ type: 'pong' });
          if (type === 'connection_ack') send({ id: '1', type: 'subscribe', payload: { query, variables } });
          const event = payload?.data?.conversationEvents;
          if (event?.__typename === 'ConversationSnapshot') resolve();
          if (event?.__typename === 'MessageAdded') begin(event.edge.node.content);
          if (event?.__typename === 'MessageDelta') put(event.text);
        };
      });
    },
  };
}
