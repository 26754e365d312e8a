// The fields of the settings: a name above, a hint or what is wrong below.
import { useId } from 'react';
import type { ReactNode } from 'react';
import { useTexts } from '../texts/index.ts';
import { Icon } from '../ui/Icon.tsx';
import type { FieldName, Form, Problem, Problems } from './form.ts';

export interface Filled {
  form: Form;
  problems: Problems;
  change: <N extends FieldName>(name: N, value: Form[N]) => void;
}

interface FieldProps extends Filled {
  name: FieldName;
  label: string;
  hint?: string | undefined;
  /** What an empty field means, shown in it. */
  empty?: string;
}

interface Given {
  id: string;
  'aria-describedby': string | undefined;
  'aria-invalid': true | undefined;
}

interface FrameProps {
  label: string;
  hint?: string | undefined;
  problem?: Problem | undefined;
  children: (given: Given) => ReactNode;
}

export function Frame({ label, hint, problem, children }: FrameProps) {
  const id = useId();
  const said = useSaid();
  const note = problem ? said(problem) : hint;
  return (
    <div className="ui-field">
      <label htmlFor={id} className="ui-label">
        {label}
      </label>
      {children({
        id,
        'aria-describedby': note ? `${id}-note` : undefined,
        'aria-invalid': problem ? true : undefined,
      })}
      {note && (
        <p id={`${id}-note`} className={problem ? 'ui-error' : 'ui-hint'}>
          {note}
        </p>
      )}
    </div>
  );
}

function useSaid(): (problem: Problem) => string {
  const texts = useTexts().settings;
  const format = (n: number) => new Intl.NumberFormat(document.documentElement.lang || undefined).format(n);
  return (problem) => {
    switch (problem.kind) {
      case 'number':
        return texts.errorNumber;
      case 'whole':
        return texts.errorWhole;
      case 'range':
        return texts.errorRange(format(problem.from), format(problem.to));
      case 'stops':
        return texts.errorStops;
      case 'empty':
        return texts.errorEmpty;
      case 'said':
        return problem.phrase;
    }
  };
}

export function TextField({
  name,
  label,
  hint,
  empty,
  form,
  problems,
  change,
  numeric,
}: FieldProps & { numeric?: boolean }) {
  return (
    <Frame label={label} hint={hint} problem={problems[name]}>
      {(given) => (
        <input
          {...given}
          className="ui-input"
          type="text"
          dir={form[name] ? (numeric ? 'ltr' : 'auto') : undefined}
          autoComplete="off"
          placeholder={empty}
          inputMode={numeric ? 'decimal' : 'text'}
          value={String(form[name] ?? '')}
          onChange={(event) => change(name, event.target.value)}
        />
      )}
    </Frame>
  );
}

export function AreaField({
  name,
  label,
  hint,
  form,
  problems,
  change,
  rows,
  code,
}: FieldProps & { rows: number; code?: boolean }) {
  return (
    <Frame label={label} hint={hint} problem={problems[name]}>
      {(given) => (
        <textarea
          {...given}
          className={code ? 'ui-input set-area set-code' : 'ui-input set-area'}
          rows={rows}
          dir={form[name] ? 'auto' : undefined}
          spellCheck={!code}
          value={String(form[name] ?? '')}
          onChange={(event) => change(name, event.target.value)}
        />
      )}
    </Frame>
  );
}

export function ChoiceField({
  name,
  label,
  hint,
  empty,
  options,
  form,
  problems,
  change,
}: FieldProps & { options: Record<string, string> }) {
  const value = String(form[name] ?? '');
  // What a later server knows stays what it is.
  const isKnown = value === '' || value in options;
  return (
    <Frame label={label} hint={hint} problem={problems[name]}>
      {(given) => (
        <span className="ui-select">
          <select {...given} className="ui-input" value={value} onChange={(event) => change(name, event.target.value)}>
            <option value="">{empty}</option>
            {Object.entries(options).map(([key, text]) => (
              <option key={key} value={key}>
                {text}
              </option>
            ))}
            {!isKnown && <option value={value}>{value}</option>}
          </select>
          <Icon name="down" size={18} />
        </span>
      )}
    </Frame>
  );
}
