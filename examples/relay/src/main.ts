// Sends a message and prints the reply while it grows in the store. With --again it is written twice.
import { getFragment, getSingularSelector, graphql } from 'relay-runtime'
import type { mainSendMutation } from './__generated__/mainSendMutation.graphql.ts'
import type { mainSignInMutation } from './__generated__/mainSignInMutation.graphql.ts'
import type { mainSignUpMutation } from './__generated__/mainSignUpMutation.graphql.ts'
import type { reply_message$data, reply_message$key } from './__generated__/reply_message.graphql.ts'
import { close, environment, setSession } from './environment.ts'
import { follow, replyFragment } from './reply.ts'
import { mutate, place, regenerate, turn } from './versions.ts'

const signUp = graphql`
  mutation mainSignUpMutation($input: SignUpInput!) {
    signUp(input: $input) {
      accessToken
      refreshToken
    }
  }
`

const signIn = graphql`
  mutation mainSignInMutation($input: SignInInput!) {
    signIn(input: $input) {
      accessToken
      refreshToken
    }
  }
`

const send = graphql`
  mutation mainSendMutation($input: SendMessageInput!) {
    sendMessage(input: $input) {
      conversation {
        id
        ...versions_line
      }
      reply {
        id
        ...reply_message
      }
    }
  }
`

async function main() {
  const { PARLEY_EMAIL, PARLEY_PASSWORD } = process.env
  const question = process.argv[2] ?? 'I had a dream about the sea'

  if (PARLEY_EMAIL && PARLEY_PASSWORD) {
    const input = { email: PARLEY_EMAIL, password: PARLEY_PASSWORD }
    setSession((await mutate<mainSignInMutation>(signIn, { input })).signIn)
  } else {
    const input = { email: `${crypto.randomUUID()}@example.com`, password: crypto.randomUUID(), name: 'Ada' }
    setSession((await mutate<mainSignUpMutation>(signUp, { input })).signUp)
  }

  // Keep the key when you send again: however often it arrives, there is one reply.
  const input = { content: question, clientKey: crypto.randomUUID() }
  const { conversation, reply } = (await mutate<mainSendMutation>(send, { input })).sendMessage
  await print(reply.id, reply)

  if (process.argv[3] !== '--again') return
  const second = await regenerate(conversation.id, reply.id)
  await print(second.id, second)
  console.log(place(conversation))
  await turn(second.id, -1)
  console.log(place(conversation))
}

/** Prints a reply while it grows. */
async function print(id: string, reply: reply_message$key) {
  // This is useFragment without React.
  const selector = getSingularSelector(getFragment(replyFragment), reply)!
  const read = () => environment.lookup(selector).data as unknown as reply_message$data
  let shown = ''
  const show = () => {
    const { content } = read()
    if (!content.startsWith(shown)) {
      // The server died, and the reply is written once more.
      process.stdout.write('\n')
      shown = ''
    }
    process.stdout.write(content.slice(shown.length))
    shown = content
  }
  const watching = environment.subscribe(environment.lookup(selector), show)
  show() // The answer of the mutation may hold some of the text already, and then nothing changes.
  await follow(id)
  watching.dispose()
  show()
  process.stdout.write('\n')

  const final = read()
  if (final.status !== 'COMPLETED') {
    console.error(`${final.status}: ${final.error?.message ?? ''}`)
    process.exitCode = 1
  }
}

main()
  .catch((error: unknown) => {
    console.error(error)
    process.exitCode = 1
  })
  .finally(close)
