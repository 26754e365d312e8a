import { useState } from 'react';
import { useTexts } from '../texts/index.ts';
import { IconButton } from '../ui/IconButton.tsx';
import { Field } from '../ui/Field.tsx';

export interface PasswordProps {
  label: string;
  name: string;
  isNew?: boolean;
  hint?: string;
  error?: string | null;
  autoFocus?: boolean;
}

/** A password, which can be looked at. */
export function Password({ label, name, isNew, hint, error, autoFocus }: PasswordProps) {
  const texts = useTexts().account;
  const [isShown, setShown] = useState(false);
  return (
    <div className="acct-password">
      <Field label={label} hint={hint} error={error}>
        <input
          name={name}
          type={isShown ? 'text' : 'password'}
          autoComplete={isNew ? 'new-password' : 'current-password'}
          required
          autoFocus={autoFocus}
          minLength={isNew ? 8 : undefined}
          maxLength={128}
          autoCapitalize="none"
          spellCheck={false}
          dir="ltr"
        />
      </Field>
      <IconButton
        icon={isShown ? 'eyeOff' : 'eye'}
        label={isShown ? texts.hide : texts.show}
        className="acct-look"
        aria-pressed={isShown}
        onClick={() => setShown(!isShown)}
      />
    </div>
  );
}
