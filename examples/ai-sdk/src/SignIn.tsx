import type { Session } from '@parley/client'
import { useState } from 'react'

export function SignIn({ session, onSignedIn }: { session: Session; onSignedIn: () => void }) {
  const [problem, setProblem] = useState('')
  const enter = (form: FormData) => {
    const input = { email: `${form.get('email')}`, password: `${form.get('password')}` }
    const entered = form.get('new') ? session.signUp(input) : session.signIn(input)
    entered.then(onSignedIn, (error: Error) => setProblem(error.message))
  }
  return (
    <form action={enter}>
      <input name="email" type="email" aria-label="Email" placeholder="Email" required />
      <input name="password" type="password" aria-label="Password" placeholder="Password" required />
      <label>
        <input name="new" type="checkbox" /> I am new here
      </label>
      <button>Go</button>
      {problem && <p role="alert">{problem}</p>}
    </form>
  )
}
