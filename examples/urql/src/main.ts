// Sends a message and prints the reply while it grows.
import { anonymous, client, close, setSession } from './client.js'
import { graphql } from './graphql.js'
import { follow, replyFields } from './reply.js'

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

const sendDocument = graphql(
  `
    mutation Send($input: SendMessageInput!) {
      sendMessage(input: $input) {
        reply {
          ...ReplyFields
        }
      }
    }
  `,
  [replyFields],
)

if (PARLEY_EMAIL && PARLEY_PASSWORD) {
  const input = { email: PARLEY_EMAIL, password: PARLEY_PASSWORD }
  const { data, error } = await anonymous.mutation(signInDocument, { input })
  if (!data) throw error
  setSession(data.signIn)
} else {
  const input = { email: `${crypto.randomUUID()}@example.com`, password: crypto.randomUUID(), name: 'Ada' }
  const { data, error } = await anonymous.mutation(signUpDocument, { input })
  if (!data) throw error
  setSession(data.signUp)
}

// Keep the key when you send again: however often it arrives, there is one reply.
const input = { content: question, clientKey: crypto.randomUUID() }
let sent = await client.mutation(sendDocument, { input })
if (sent.error?.networkError) sent = await client.mutation(sendDocument, { input })
if (!sent.data) throw sent.error

let shown = ''
const final = await follow(sent.data.sendMessage.reply, (content) => {
  if (!content.startsWith(shown)) {
    // The server died, and the reply is written once more.
    process.stdout.write('\n')
    shown = ''
  }
  process.stdout.write(content.slice(shown.length))
  shown = content
})
process.stdout.write('\n')
close()

if (final.status !== 'COMPLETED') {
  console.error(`${final.status}: ${final.error?.message ?? ''}`)
  process.exitCode = 1
}
