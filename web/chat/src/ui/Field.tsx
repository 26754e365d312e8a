// A field with its name, what helps to fill it, and what is wrong with it.
import { cloneElement, useId } from 'react';
import type { ReactElement } from 'react';
import './ui.css';

interface Named {
  id?: string;
  className?: string;
  'aria-describedby'?: string;
  'aria-invalid'?: boolean;
}

export interface FieldProps {
  label: string;
  hint?: string;
  error?: string | null;
  /** One input, select or textarea. */
  children: ReactElement<Named>;
}

export function Field({ label, hint, error, children }: FieldProps) {
  const made = useId();
  const id = children.props.id ?? made;
  const about = error || hint ? `${id}-about` : undefined;
  return (
    <div className="ui-field">
      <label className="ui-label" htmlFor={id}>
        {label}
      </label>
      {cloneElement(children, {
        id,
        className: `ui-input ${children.props.className ?? ''}`,
        'aria-describedby': about,
        'aria-invalid': error ? true : undefined,
      })}
      {error ? (
        <p id={about} className="ui-error" role="alert">
          {error}
        </p>
      ) : (
        hint && (
          <p id={about} className="ui-hint">
            {hint}
          </p>
        )
      )}
    </div>
  );
}
