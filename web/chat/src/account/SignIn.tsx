// The first screen of who is not signed in: a name, a form, nothing else.
import { useState } from 'react';
import type { FormEvent } from 'react';
import { session } from '../api/session.ts';
import { LanguageChoice, ThemeChoice } from '../app/Choices.tsx';
import { Mark } from '../app/Mark.tsx';
import { Link, useRoute } from '../app/route.ts';
import { useSite, useSiteName } from '../app/site.ts';
import { useTexts } from '../texts/index.ts';
import { Button } from '../ui/Button.tsx';
import { Field } from '../ui/Field.tsx';
import { Password } from './Password.tsx';
import { useProblem, useProblemOf } from './refusal.ts';
import './account.css';

export function SignIn() {
  const texts = useTexts().account;
  const site = useSite();
  const isNew = useRoute().name === 'sign-up' && site?.signUp !== false;
  // The name is an operator's, in any direction.
  const name = useSiteName();
  const [before, after] = texts.greeting('\n').split('\n');
  const hasEnded = new URLSearchParams(location.search).has('ended');
  return (
    <div className="acct">
      <main className="acct-sheet">
        <Mark size={44} />
        <h1 className="acct-title">
          {before}
          <bdi>{name}</bdi>
          {after}
        </h1>
        <p className="acct-promise">{texts.promise}</p>
        {hasEnded && (
          <p className="acct-note" role="status">
            {texts.ended}
          </p>
        )}
        <Form key={`${isNew}`} isNew={isNew} />
        {site?.issuers.map(({ name, url }) => (
          <a key={url} className="ui-button ui-button-quiet" href={url}>
            {name}
          </a>
        ))}
        {site?.signUp && (
          <p className="acct-other">
            {isNew ? texts.haveAccount : texts.noAccount}{' '}
            <Link to={(isNew ? '/sign-in' : '/sign-up') + location.search}>{isNew ? texts.signIn : texts.signUp}</Link>
          </p>
        )}
      </main>
      <footer className="acct-foot">
        <LanguageChoice />
        <ThemeChoice />
      </footer>
    </div>
  );
}

const fields = ['name', 'email', 'password'];

function Form({ isNew }: { isNew: boolean }) {
  const texts = useTexts().account;
  const problemOf = useProblemOf();
  const { form, general, at, setProblem } = useProblem(fields);
  const [isBusy, setBusy] = useState(false);
  async function submit(event: FormEvent<HTMLFormElement>) {
    event.preventDefault();
    const given = Object.fromEntries(new FormData(event.currentTarget)) as Record<string, string>;
    const { email = '', password = '', name } = given;
    setBusy(true);
    setProblem(null);
    try {
      await (isNew
        ? session.signUp({ email, password, name: name || undefined })
        : session.signIn({ email, password }));
    } catch (error) {
      setProblem(problemOf(error));
      setBusy(false);
    }
  }
  return (
    <form ref={form} className="acct-form" onSubmit={(event) => void submit(event)}>
      {isNew && (
        <Field label={texts.name} hint={texts.nameHint} error={at('name')}>
          <input name="name" autoComplete="name" maxLength={100} dir="auto" />
        </Field>
      )}
      <Field label={texts.email} error={at('email')}>
        <input
          name="email"
          type="email"
          autoComplete="username"
          inputMode="email"
          autoCapitalize="none"
          spellCheck={false}
          required
          autoFocus
          dir="ltr"
        />
      </Field>
      <Password
        label={texts.password}
        name="password"
        isNew={isNew}
        hint={isNew ? texts.passwordHint : undefined}
        error={at('password')}
      />
      {general && (
        <p className="acct-problem" role="alert">
          {general}
        </p>
      )}
      <Button type="submit" variant="primary" busy={isBusy} className="acct-go">
        {isNew ? texts.signUp : texts.signIn}
      </Button>
    </form>
  );
}
