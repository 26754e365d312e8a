// Sends a message and prints the reply while it grows.
import { Parley } from './parley.js'

const { PARLEY_URL = 'http://127.0.0.1:8080', PARLEY_EMAIL, PARLEY_PASSWORD } = process.env
const question = process.argv[2] ?? 'I had a dream about the sea'

const parley = new Parley(PARLEY_URL)
if (PARLEY_EMAIL && PARLEY_PASSWORD) {
  await parley.signIn({ email: PARLEY_EMAIL, password: PARLEY_PASSWORD })
} else {
  await parley.signUp({ email: `${crypto.randomUUID()}@example.com`, password: crypto.randomUUID(), name: 'Ada' })
}

const reply = await parley.send(question)
let shown = ''
const final = await parley.follow(reply, (content) => {
  if (!content.startsWith(shown)) {
    // The server died, and the reply is written once more.
    process.stdout.write('\n')
    shown = ''
  }
  process.stdout.write(content.slice(shown.length))
  shown = content
})
process.stdout.write('\n')

if (final.status !== 'COMPLETED') {
  console.error(`${final.status}: ${final.error?.message ?? ''}`)
  process.exitCode = 1
}
