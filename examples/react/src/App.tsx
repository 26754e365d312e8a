import { useReactiveVar } from '@apollo/client/react'
import { Chat } from './Chat'
import { connected } from './client'
import { useRoute } from './route'
import { useSession } from './session'
import { Sidebar } from './Sidebar'
import { SignIn } from './SignIn'

export function App() {
  const session = useSession()
  const route = useRoute()
  const online = useReactiveVar(connected)
  if (!session) return <SignIn />
  // On a phone either the list is shown or the chat.
  return (
    <main className="app" data-show={route === null ? 'list' : 'chat'} key={session.user.id}>
      <h1 className="unseen">Parley</h1>
      <Sidebar user={session.user} route={route} />
      <Chat key={route} id={route || null} />
      {!online && (
        <p className="offline" role="status">
          Connecting …
        </p>
      )}
    </main>
  )
}
