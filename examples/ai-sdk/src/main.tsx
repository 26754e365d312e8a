import './style.css'
import { localStorageStore, session as sessionOf } from '@parley/client'
import { ParleyTransport, type ParleyMessage } from '@parley/ai-sdk'
import { StrictMode } from 'react'
import { createRoot } from 'react-dom/client'
import { Chat } from './Chat'
import { SignIn } from './SignIn'

const session = sessionOf({ url: '/graphql', store: localStorageStore('parley-session') })
const root = createRoot(document.getElementById('root')!)

let visits = 0

/** The conversation is in the address, so a reload finds it. */
async function start() {
  if (!(await session.token())) return root.render(<SignIn session={session} onSignedIn={start} />)
  const transport = new ParleyTransport({
    session,
    conversationId: location.hash.slice(1) || null,
    onConversation: (id) => history.replaceState(null, '', `#${id}`),
  })
  let messages: ParleyMessage[]
  try {
    messages = await transport.load()
  } catch (error) {
    return root.render(<p role="alert">{(error as Error).message}</p>)
  }
  root.render(
    <StrictMode>
      <Chat key={++visits} transport={transport} messages={messages} />
    </StrictMode>,
  )
}

addEventListener('hashchange', start)
void start()
