import './style.css'
import { localStorageStore, session as sessionOf } from '@parley/client'
import { ParleyTransport } from '@parley/ai-sdk'
import { StrictMode } from 'react'
import { createRoot } from 'react-dom/client'
import { SignIn } from './SignIn'
import { Talk } from './Talk'

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
  root.render(
    <StrictMode>
      <Talk key={++visits} transport={transport} />
    </StrictMode>,
  )
}

addEventListener('hashchange', start)
void start()
