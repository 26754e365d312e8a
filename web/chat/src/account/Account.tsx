// The page and the account, as its owner sets them.
import { useState } from 'react';
import type { FormEvent, ReactNode } from 'react';
import { useQuery } from 'urql';
import { ChangePasswordDocument, ViewerDocument } from '../api/generated/documents.ts';
import { session } from '../api/session.ts';
import { AnnounceChoice, LanguageChoice, ThemeChoice } from '../app/Choices.tsx';
import { leave } from '../app/who.ts';
import { useTexts } from '../texts/index.ts';
import { Button } from '../ui/Button.tsx';
import { Dialog } from '../ui/Dialog.tsx';
import { toast } from '../ui/toast.tsx';
import { Password } from './Password.tsx';
import { useProblem, useProblemOf } from './refusal.ts';
import './account.css';

export interface AccountProps {
  open: boolean;
  onClose: () => void;
  /** Shows what goes over the line. */
  onHood: () => void;
}

export default function Account({ open, onClose, onHood }: AccountProps) {
  const texts = useTexts();
  const words = texts.app.settings;
  return (
    <Dialog open={open} onClose={onClose} title={texts.account.settings}>
      <Line label={words.theme}>
        <ThemeChoice />
      </Line>
      <Line label={words.language}>
        <LanguageChoice />
      </Line>
      <Line label={words.announce}>
        <AnnounceChoice />
      </Line>
      <Person onHood={onHood} />
    </Dialog>
  );
}

function Line({ label, children }: { label: string; children: ReactNode }) {
  return (
    <div className="acct-line">
      <span>{label}</span>
      {children}
    </div>
  );
}

function Person({ onHood }: { onHood: () => void }) {
  const all = useTexts();
  const texts = all.account;
  const [{ data }] = useQuery({ query: ViewerDocument });
  const [isChanging, setChanging] = useState<boolean>();
  const [isLeaving, setLeaving] = useState(false);
  const viewer = data?.viewer;
  async function signOut() {
    setLeaving(true);
    await leave().catch(() => {
      setLeaving(false);
      toast(texts.signOutFailed);
    });
  }
  return (
    <section className="acct-person">
      <h3 className="acct-head">{texts.account}</h3>
      <p className="acct-who">
        <span className="ui-label">{texts.signedInAs}</span>
        {viewer?.name && <bdi>{viewer.name}</bdi>}
        <bdi>{viewer?.email}</bdi>
      </p>
      {isChanging ? (
        <ChangePassword email={viewer?.email ?? ''} onDone={() => setChanging(false)} />
      ) : (
        <div className="acct-acts">
          {viewer?.email && (
            // The focus comes back from the form.
            <Button autoFocus={isChanging === false} onClick={() => setChanging(true)}>
              {texts.change}
            </Button>
          )}
          <Button busy={isLeaving} onClick={() => void signOut()}>
            {texts.signOut}
          </Button>
          <Button onClick={onHood}>{all.hood.title}</Button>
        </div>
      )}
    </section>
  );
}

function ChangePassword({ email, onDone }: { email: string; onDone: () => void }) {
  const texts = useTexts();
  const problemOf = useProblemOf();
  const { form, general, at, setProblem } = useProblem(['currentPassword', 'newPassword']);
  const [isBusy, setBusy] = useState(false);
  async function submit(event: FormEvent<HTMLFormElement>) {
    event.preventDefault();
    const { current, next } = Object.fromEntries(new FormData(event.currentTarget)) as Record<string, string>;
    setBusy(true);
    setProblem(null);
    try {
      const input = { currentPassword: current, newPassword: next };
      await session.run(ChangePasswordDocument as unknown as string, { input });
      toast(texts.account.changed);
      onDone();
    } catch (error) {
      setProblem(problemOf(error));
      setBusy(false);
    }
  }
  return (
    <form ref={form} className="acct-form" onSubmit={(event) => void submit(event)}>
      {/* For password managers, which keep a password under a name. */}
      <input
        className="ui-hidden"
        name="username"
        autoComplete="username"
        value={email}
        readOnly
        tabIndex={-1}
        aria-hidden="true"
      />
      <Password label={texts.account.currentPassword} name="current" error={at('currentPassword')} autoFocus />
      <Password
        label={texts.account.newPassword}
        name="next"
        isNew
        error={at('newPassword')}
        hint={`${texts.account.passwordHint}. ${texts.account.changeHint}`}
      />
      {general && (
        <p className="acct-problem" role="alert">
          {general}
        </p>
      )}
      <div className="acct-acts">
        <Button type="submit" variant="primary" busy={isBusy}>
          {texts.account.change}
        </Button>
        <Button variant="plain" onClick={onDone}>
          {texts.app.cancel}
        </Button>
      </div>
    </form>
  );
}
