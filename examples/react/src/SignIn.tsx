import { useMutation } from '@apollo/client/react'
import { useState } from 'react'
import type { ComponentProps, SubmitEvent } from 'react'
import { signInDocument, signUpDocument } from './operations'
import { problemOf } from './problem'
import { getNotice, setSession } from './session'

export function SignIn() {
  const [isNew, setNew] = useState(false)
  const [authenticate, { loading, error, reset }] = useMutation(isNew ? signUpDocument : signInDocument, {
    fetchPolicy: 'no-cache', // tokens do not belong into the cache
    context: { anonymous: true },
    onCompleted: ({ auth }) => setSession(auth),
    onError: () => {}, // it is shown below
  })
  const problem = error && problemOf(error)

  function submit(event: SubmitEvent<HTMLFormElement>) {
    event.preventDefault()
    const {
      email = '',
      password = '',
      name,
    } = Object.fromEntries(new FormData(event.currentTarget)) as Record<string, string>
    void authenticate({ variables: { input: isNew ? { email, password, name } : { email, password } } })
  }

  return (
    <main className="sign-in">
      <title>Parley</title>
      <h1>{isNew ? 'Create your account' : 'Welcome back'}</h1>
      <p role="alert" className="notice">
        {problem ? Object.keys(problem.fields).length === 0 && problem.message : getNotice()}
      </p>
      <form onSubmit={submit}>
        {isNew && <Field label="Name" name="name" autoComplete="name" problem={problem?.fields['name']} />}
        <Field
          label="Email"
          name="email"
          type="email"
          autoComplete="email"
          required
          problem={problem?.fields['email']}
        />
        <Field
          label="Password"
          name="password"
          type="password"
          autoComplete={isNew ? 'new-password' : 'current-password'}
          required
          problem={problem?.fields['password']}
        />
        <button className="primary" disabled={loading}>
          {isNew ? 'Sign up' : 'Sign in'}
        </button>
      </form>
      <button
        className="link"
        onClick={() => {
          reset()
          setNew(!isNew)
        }}
      >
        {isNew ? 'I have an account' : 'I am new here'}
      </button>
    </main>
  )
}

function Field({
  label,
  problem,
  ...input
}: ComponentProps<'input'> & { label: string; problem?: string | undefined }) {
  return (
    <label>
      {label}
      <input {...input} aria-invalid={!!problem} aria-describedby={problem && `${input.name}-problem`} />
      {problem && (
        <span className="problem" id={`${input.name}-problem`}>
          {label} {problem}.
        </span>
      )}
    </label>
  )
}
