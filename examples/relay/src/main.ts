// Sends a message and prints the reply while it grows in the store.
import { commitMutation, getFragment, getSingularSelector, graphql } from 'relay-runtime'
import type { GraphQLTaggedNode, MutationParameters } from 'relay-runtime'
import type { mainSendMutation } from './__generated__/mainSendMutation.graphql.ts'
import type { mainSignInMutation } from './__generated__/mainSignInMutation.graphql.ts'
import type { mainSignUpMutation } from './__generated__/mainSignUpMutation.graphql.ts'
import type { reply_message$data } from './__generated__/reply_message.graphql.ts'
import { close, environment, setSession } from './environment.ts'
import { follow, replyFragment } from './reply.ts'

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
      reply {
        id
        ...reply_message
      }
    }
  }
`

/** commitMutation as a promise. */
function mutate<T extends MutationParameters>(
  mutation: GraphQLTaggedNode,
  input: T['variables']['input'],
): Promise<T['response']> {
  return new Promise((resolve, reject) =>
    commitMutation<T>(environment, {
      mutation,
      variables: { input },
      onCompleted: (response, errors) => (errors?.length ? reject(new Error(errors[0]!.message)) : resolve(response)),
      onError: reject,
    }),
  )
}

async function main() {
  const { PARLEY_EMAIL, PARLEY_PASSWORD } = process.env
  const question = process.argv[2] ?? 'I had a dream about the sea'

  if (PARLEY_EMAIL && PARLEY_PASSWORD) {
    const input = { email: PARLEY_EMAIL, password: PARLEY_PASSWORD }
    setSession((await mutate<mainSignInMutation>(signIn, input)).signIn)
  } else {
    const input = { email: `${crypto.randomUUID()}@example.com`, password: crypto.randomUUID(), name: 'Ada' }
    setSession((await mutate<mainSignUpMutation>(signUp, input)).signUp)
  }

  // Keep the key when you send again: however often it arrives, there is one reply.
  const input = { content: question, clientKey: crypto.randomUUID() }
  const { reply } = (await mutate<mainSendMutation>(send, input)).sendMessage

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
  await follow(reply.id)
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
