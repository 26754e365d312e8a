// Counted things, each language by its own rules: Arabic has six forms, Japanese one.
import type { Language } from './index.ts';

type Forms = Partial<Record<Intl.LDMLPluralRule, string>> & { other: string };

/** pluralIn returns what picks the form for a number; a # in the form stands for the number. */
export function pluralIn(language: Language): (n: number, forms: Forms) => string {
  const rules = new Intl.PluralRules(language);
  const number = new Intl.NumberFormat(language);
  return (n, forms) => (forms[rules.select(n)] ?? forms.other).replace('#', () => number.format(n));
}
