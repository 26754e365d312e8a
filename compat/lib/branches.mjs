// What another device does to what was said, step by step: what the tests of the clients with a cache share.
import assert from 'node:assert/strict'
import { data, password, signInDocument, until } from './parley.mjs'

// versionFields are what those tests show of a message.
export const versionFields = 'id index role status content siblingCount siblingPosition'

// Device is another session of a user. What it asks for has the model "script" answer at once.
export class Device {
  constructor(url, token) {
    Object.assign(this, { url, token })
  }

  static async signIn(url, { email }) {
    return new Device(url, (await data(url, signInDocument, { input: { email, password } })).signIn.accessToken)
  }

  // change runs a mutation of branches, and returns its payload.
  async change(name, input, fields = '__typename') {
    const type = `${name[0].toUpperCase()}${name.slice(1)}Input`
    const document = `mutation ($input: ${type}!) { ${name}(input: $input) { ${fields} } }`
    return (await data(this.url, document, { input }, this.token))[name]
  }

  // ask sends, regenerates or edits, and returns the payload when the reply is final.
  ask(name, input, fields = 'userMessage { id } reply { id }') {
    return this.change(name, { ...input, model: 'script', wait: true }, `conversation { id } ${fields}`)
  }

  // line is what the server shows of a conversation.
  async line(id) {
    const query = `query ($id: ID!) { conversation(id: $id) { messages(last: 50) { nodes { ${versionFields} } } } }`
    return (await data(this.url, query, { id }, this.token)).conversation.messages.nodes
  }
}

// numbered is how a page shows a line: the questions, and which version each message is.
const numbered = (messages) =>
  messages.map(({ role, content, siblingPosition: position, siblingCount: count }) =>
    [role === 'USER' ? content.split(' /')[0] : 'reply', count > 1 && `${position}/${count}`].filter(Boolean).join(' '),
  )

// follows changes a conversation from another device in every way, and expects that shown(), the list of a client
// that only follows, becomes the line of the server each time. It begins with one question and its reply.
export async function follows(device, id, shown) {
  const ordered = (messages) =>
    messages.map(({ id, index, role, status, content, siblingCount, siblingPosition }) => {
      return { id, index, role, status, content, siblingCount, siblingPosition }
    })
  const becomes = async (...want) => {
    const line = await device.line(id)
    assert.deepEqual(numbered(line), want)
    const got = () => ordered(shown() ?? [])
    await until(`the line ${want}`, 10_000, () => JSON.stringify(got()) === JSON.stringify(ordered(line))).catch(() =>
      assert.deepEqual(got(), ordered(line)),
    )
  }
  await becomes('One', 'reply')
  const first = await device.ask('sendMessage', { conversationId: id, content: 'Two /slow 0' })
  await becomes('One', 'reply', 'Two', 'reply')

  const again = await device.ask('regenerateReply', { messageId: first.reply.id }, 'reply { id }')
  await becomes('One', 'reply', 'Two', 'reply 2/2')

  // The line gets shorter by a switch, and comes back as it was left.
  await device.ask('sendMessage', { conversationId: id, content: 'More /slow 0' })
  await device.change('selectBranch', { messageId: first.reply.id })
  await becomes('One', 'reply', 'Two', 'reply 1/2')
  await device.change('selectBranch', { messageId: again.reply.id })
  await becomes('One', 'reply', 'Two', 'reply 2/2', 'More', 'reply')

  const edited = await device.ask('editMessage', { messageId: first.userMessage.id, content: 'Three /slow 0' })
  await becomes('One', 'reply', 'Three 2/2', 'reply')
  await device.change('updateMessage', { messageId: edited.userMessage.id, content: 'Third' })
  await becomes('One', 'reply', 'Third 2/2', 'reply')
  await device.change('deleteMessage', { messageId: edited.userMessage.id })
  await becomes('One', 'reply', 'Two', 'reply 2/2', 'More', 'reply')
  await device.change('deleteMessage', { messageId: first.reply.id }) // not on the line
  await becomes('One', 'reply', 'Two', 'reply', 'More', 'reply')
}

// updates has a client that follows nothing regenerate and edit by itself, with the updaters of its lists and the
// edges of the payloads. regenerate(messageId) and edit(messageId, content) resolve when its cache is written.
export async function updates(device, id, shown, { regenerate, edit }) {
  const ids = (messages) => messages.map(({ id }) => id)
  const [question, reply] = await device.line(id)
  await regenerate(reply.id)
  assert.deepEqual(ids(shown()), ids(await device.line(id)))
  await edit(question.id, 'Other /slow 0')
  assert.deepEqual(ids(shown()), ids(await device.line(id)))
  assert.deepEqual(numbered(shown()), ['Other 2/2', 'reply'])
}

