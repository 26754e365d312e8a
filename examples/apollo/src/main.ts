// Sends a message and prints the reply while it grows in the cache. With --again it is written twice.
import { client, setSession } from './client.js'
import { graphql } from './generated/index.js'
import { follow, replyFields } from './reply.js'
import { place, regenerate, turn } from './versions.js'

const { PARLEY_EMAIL, PARLEY_PASSWORD } = process.env
const question = process.argv[2] ?? 'I had a dream about the sea'

const signUpDocument = graphql(`
  mutation SignUp($input: SignUpInput!) {
    signUp(input: $input) {
      accessToken
      refreshToken
    }
  }
`)

const signInDocument = graphql(`
  mutation SignIn($input: SignInInput!) {
    signIn(input: $input) {
      accessToken
      refreshToken
    }
  }
`)

const sendDocument = graphql(`
  mutation Send($input: SendMessageInput!) {
    sendMessage(input: $input) {
      conversation {
        id
        ...LineFields
      }
      reply {
        id
        ...ReplyFields
      }
    }
  }
`)

if (PARLEY_EMAIL && PARLEY_PASSWORD) {
  const input = { email: PARLEY_EMAIL, password: PARLEY_PASSWORD }
  setSession(
    (await client.mutate({ mutation: signInDocument, variables: { input }, fetchPolicy: 'no-cache' })).data!.signIn,
  )
} else {
  const input = { email: `${crypto.randomUUID()}@example.com`, password: crypto.randomUUID(), name: 'Ada' }
  setSession(
    (await client.mutate({ mutation: signUpDocument, variables: { input }, fetchPolicy: 'no-cache' })).data!.signUp,
  )
}

// RetryLink sends this again with the same key: however often it arrives, there is one reply.
const input = { content: question, clientKey: crypto.randomUUID() }
const { data } = await client.mutate({ mutation: sendDocument, variables: { input } })
const { conversation, reply } = data!.sendMessage
await print(reply.id)

if (process.argv[3] === '--again') {
  const second = await regenerate(reply.id)
  await print(second.id)
  console.log(place(conversation.id))
  await turn(second.id, -1)
  console.log(place(conversation.id))
}
client.stop()

/** Prints a reply while it grows. */
async function print(id: string) {
  // This is useFragment without React.
  const from = { __typename: 'Message', id } as const
  let shown = ''
  const watching = client.watchFragment({ fragment: replyFields, from }).subscribe(({ data, complete }) => {
    if (!complete) return
    const content = data.content!
    if (!content.startsWith(shown)) {
      // The server died, and the reply is written once more.
      process.stdout.write('\n')
      shown = ''
    }
    process.stdout.write(content.slice(shown.length))
    shown = content
  })
  await follow(id)
  watching.unsubscribe()
  process.stdout.write('\n')

  const final = client.readFragment({ fragment: replyFields, from })!
  if (final.status !== 'COMPLETED') {
    console.error(`${final.status}: ${final.error?.message ?? ''}`)
    process.exitCode = 1
  }
}
