// What a refused sign-in or change of a password means, and what helps.
import { Refused } from '@parley/client';
import { useContext, useEffect, useRef, useState } from 'react';
import { SpokenContext } from '../texts/index.ts';
import type { Texts } from '../texts/index.ts';

export interface Problem {
  text: string;
  /** The field that it is about. */
  field?: string;
}

/** useProblemOf returns how to say what a refusal means. */
export function useProblemOf(): (error: unknown) => Problem {
  const { texts, language } = useContext(SpokenContext);
  const said = texts.account;
  return (error) => {
    if (!(error instanceof Refused)) return { text: said.failed('INTERNAL') };
    const { code, extensions, message } = error;
    switch (code) {
      case 'UNAUTHENTICATED':
        return { text: said.wrong };
      case 'FORBIDDEN':
        return { text: said.closed };
      case 'RATE_LIMITED':
      case 'OVERLOADED':
        return { text: said.limited(inTime(Number(extensions.retryAfter ?? 1), language)) };
      case 'UNAVAILABLE':
        return { text: said.away };
      case 'CONFLICT':
      case 'EMAIL_TAKEN':
        return { text: said.taken, field: 'email' };
      case 'BAD_USER_INPUT':
        return ofFields(extensions.fields, message, said);
      default:
        return { text: said.failed(code) };
    }
  };
}

function ofFields(fields: unknown, message: string, said: Texts['account']): Problem {
  const [path, text] = Object.entries((fields ?? {}) as Record<string, unknown>)[0] ?? [];
  const field = path?.split('.').at(-1);
  if (field === 'currentPassword') return { text: said.wrongPassword, field };
  return { text: typeof text === 'string' ? text : message, field };
}

/** useProblem holds what is wrong with a form that has these fields. The focus goes to the field that it is about. */
export function useProblem(fields: readonly string[]) {
  const form = useRef<HTMLFormElement>(null);
  const [problem, setProblem] = useState<Problem | null>(null);
  const isAtField = problem?.field !== undefined && fields.includes(problem.field);
  useEffect(() => {
    if (problem) form.current?.querySelector<HTMLElement>('[aria-invalid]')?.focus();
  }, [problem]);
  return {
    form,
    setProblem,
    general: isAtField ? null : problem?.text,
    at: (field: string) => (problem?.field === field ? problem.text : null),
  };
}

function inTime(seconds: number, language: string): string {
  const format = new Intl.RelativeTimeFormat(language);
  return seconds < 90 ? format.format(Math.ceil(seconds), 'second') : format.format(Math.ceil(seconds / 60), 'minute');
}
