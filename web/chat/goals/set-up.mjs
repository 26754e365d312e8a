// What all goals are measured on: a server for each build of the page, their model, the baseline, and a browser.
import { readFileSync } from 'node:fs';
import { chromium } from 'playwright-core';
import { Parley } from '../../../compat/lib/parley.mjs';
import { newPerson } from '../test/page.mjs';
import { serveBaseline } from './baseline.mjs';
import { serveModel } from './model.mjs';
import { baselineSide, chatSide } from './sides.mjs';
import { documentOf } from './text.mjs';

/** setUp starts everything. The pages run as on a processor that is so many times slower. */
export async function setUp({ throttle }) {
  const model = await serveModel();
  const baseline = await serveBaseline();
  const browser = await chromium.launch({
    executablePath: process.env.CHROMIUM || '/usr/bin/chromium',
    args: ['--no-sandbox', '--disable-dev-shm-usage', '--disable-gpu', '--no-first-run', '--force-color-profile=srgb'],
  });
  const world = { browser, throttle };
  const page = await serve(model, process.env.GOALS_BINARY);
  const before = process.env.GOALS_BEFORE && (await serve(model, process.env.GOALS_BEFORE));
  return {
    browser: browser.version(),
    goOn: model.goOn,
    /** The newest build, an older one where one is given, and the baseline, which asks the first server. */
    sides: [
      chatSide(world, 'page', page),
      ...(before ? [chatSide(world, 'before', before)] : []),
      baselineSide(world, baseline.url, page),
    ],
    async close() {
      await browser.close();
      await Promise.all([page, before].map((server) => server && server.parley.close()));
      model.close();
      baseline.close();
    },
  };
}

/** serve starts a binary with somebody who has an account there. */
async function serve(model, binary) {
  const settings = { OPENAI_API_KEY: 'none', OPENAI_BASE_URL: model.url, PARLEY_SENDS_PER_MINUTE: '0' };
  const parley = await Parley.start(settings, binary);
  const person = await newPerson(parley.url);
  const talks = new Map();
  return {
    parley,
    person,
    newTalk: () => newTalk(person),
    send: (id, what) => send(person, id, what),
    /** A talk of so many messages, made once. */
    async filled(count) {
      if (!talks.has(count)) talks.set(count, await fill(person, count));
      return talks.get(count);
    },
  };
}

async function newTalk(person) {
  const make = `mutation ($i: CreateConversationInput!) { createConversation(input: $i) { conversation { id } } }`;
  return (await person.ask(make, { i: {} })).createConversation.conversation.id;
}

/** send has the model write, over the API: what is measured is how a page shows it. */
async function send(person, conversationId, what) {
  const say = `mutation ($i: SendMessageInput!) { sendMessage(input: $i) { reply { id } } }`;
  return (await person.ask(say, { i: { conversationId, content: JSON.stringify(what) } })).sendMessage.reply.id;
}

/** fill makes a talk: questions of a line, and answers of some blocks of Markdown. */
async function fill(person, count) {
  const add = `mutation ($i: AddMessagesInput!) { addMessages(input: $i) { conversation { id } } }`;
  const prose = documentOf('prose', 16_000).split('\n\n');
  let conversationId;
  for (let n = 0; n < count; n += 100) {
    const messages = Array.from({ length: Math.min(100, count - n) }, (_, i) => {
      const at = ((n + i) * 3) % (prose.length - 4);
      const content = i % 2 ? prose.slice(at, at + 1 + ((n + i) % 4)).join('\n\n') : prose[0].slice(3);
      return { role: i % 2 ? 'ASSISTANT' : 'USER', content: `Number ${n + i}.\n\n${content}` };
    });
    conversationId = (await person.ask(add, { i: { conversationId, messages } })).addMessages.conversation.id;
  }
  return conversationId;
}

const generated = readFileSync(new URL('../src/api/generated/documents.ts', import.meta.url), 'utf8');

/** documentNamed is one of the page's own documents: all sides ask the same. */
export const documentNamed = (name) =>
  JSON.parse(new RegExp(`const ${name}Document = (".*") as unknown`).exec(generated)[1]);
