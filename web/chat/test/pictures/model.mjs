// The model server of the pictures. What it replies is written below, and it stops in the middle where a picture is to
// be taken of that.
import { once } from 'node:events';
import http from 'node:http';

const bread = `Bread rises because yeast eats and breathes.

- **Starch becomes sugar.** Enzymes in the flour begin as soon as it is wet.
- **Sugar becomes gas.** The yeast lives on it, and gives off carbon dioxide.
- **Gluten holds the gas.** Kneading turns two proteins into a net that stretches.

In the oven the gas grows, the net sets, and the loaf keeps its shape.`;

const tides = `The moon pulls on the near side of the sea more than on the middle of the earth, and on the middle more than
on the far side. So the water stands high on both, and a place on the turning earth passes two high waters a day.`;

const page = `## Finding a word

A sorted list is halved until nothing is left of it, so $n$ words need at most $\\lceil \\log_2 n \\rceil$ looks:

\`\`\`js
export function find(words, word) {
  let [low, high] = [0, words.length - 1];
  while (low <= high) {
    const middle = (low + high) >> 1; // whole numbers only
    if (words[middle] === word) return middle;
    if (words[middle] < word) low = middle + 1;
    else high = middle - 1;
  }
  return -1;
}
\`\`\`

| words | looks | by hand |
| ---: | ---: | :--- |
| 1,000 | 10 | half an hour |
| 1,000,000 | 20 | three weeks |

> Sort once, and look often.

$$\\sum_{k=0}^{n} 2^k = 2^{n+1} - 1$$

See [the proof](https://example.com/halving) and \`find("tide")\`.`;

/** What is asked and what is said. hold: where it stops, until the server ends; fails, refuses: how it goes wrong. */
const replies = {
  'Why does bread rise?': { thought: 'They ask about yeast. Short, and in order.', text: bread },
  'Why are there two tides a day?': { text: tides },
  'Say it shorter': { text: 'The moon pulls the water on both sides of the earth, and the earth turns below it.' },
  'How is a word found quickly?': { text: page },
  'Tell me of the first lighthouse': { hold: 'waiting' },
  'Which knot holds best?': { thought: 'A bowline, or a figure of eight? It depends.', hold: 'thinking' },
  'How do I sharpen a chisel?': { text: bread.slice(0, 230), hold: 'writing' },
  'Write a long story': { text: tides, reason: 'length' },
  'What is in that film?': { text: 'The film begins in a harbour at night, and then', reason: 'content_filter' },
  'How are locks picked?': { refuses: true },
  'Translate this letter': { text: 'Dear neighbour, thank you for', fails: true },
  'اشرح لي المد والجزر': {
    text: 'يجذب **القمر** الماء القريب منه أكثر من غيره، فيرتفع البحر مرتين في اليوم.\n\n1. في الصباح\n2. في المساء',
  },
};

const models = [
  { id: 'lantern', object: 'model', context_length: 131_072 },
  { id: 'lantern-small', object: 'model', context_length: 32_768 },
  { id: 'harbour-thinking', object: 'model' },
];

/** serveModel starts it, and returns its address and what ends it. */
export async function serveModel() {
  const server = http.createServer(async (request, response) => {
    if (request.method === 'GET') return response.end(JSON.stringify({ object: 'list', data: models }));
    let body = '';
    for await (const piece of request.setEncoding('utf8')) body += piece;
    await answer(response, replies[JSON.parse(body).messages.at(-1).content] ?? { text: 'Yes.' });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const close = () => (server.close(), server.closeAllConnections());
  return { url: `http://127.0.0.1:${server.address().port}/v1`, close };
}

async function answer(response, { thought, text = '', hold, reason = 'stop', fails, refuses }) {
  if (refuses) {
    response.writeHead(400, { 'Content-Type': 'application/json' });
    const error = { message: 'This is not answered.', code: 'content_filter', type: 'invalid_request_error' };
    return response.end(JSON.stringify({ error }));
  }
  response.writeHead(200, { 'Content-Type': 'text/event-stream' });
  const write = (what) => response.write(`data: ${JSON.stringify(what)}\n\n`);
  const say = (delta, finish_reason = null) =>
    write({
      id: 'c',
      object: 'chat.completion.chunk',
      model: 'lantern',
      choices: [{ index: 0, delta, finish_reason }],
    });
  response.flushHeaders();
  if (thought) say({ reasoning_content: thought });
  for (const word of text.match(/\S*\s*/g)) if (word) say({ content: word });
  if (hold) return;
  if (fails) write({ error: { message: 'out of memory', type: 'server_error' } });
  else say({}, reason);
  response.end('data: [DONE]\n\n');
}
