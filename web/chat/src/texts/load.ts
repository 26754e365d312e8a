// The languages of the page, each loaded when it is chosen.
import en from './en/index.ts';
import { languages } from './index.ts';
import type { Language, Texts } from './index.ts';

type Loaded = { default: Texts };

const loaders: Partial<Record<Language, () => Promise<Loaded>>> = {
  de: () => import('./de/index.ts'),
  ar: () => import('./ar/index.ts'),
};

/** Those that there are texts for, each by its own name. */
export const spoken: readonly { value: Language; label: string }[] = [
  { value: 'en', label: 'English' },
  { value: 'de', label: 'Deutsch' },
  { value: 'ar', label: 'العربية' },
];

export async function textsIn(language: Language): Promise<Texts> {
  return (await loaders[language]?.())?.default ?? en;
}

/** languageOf returns the first language of the browser that there are texts for. */
export function languageOf(wanted: readonly string[]): Language {
  const codes = wanted.map((tag) => tag.split('-')[0]);
  return languages.find((one) => one === codes.find((code) => spoken.some(({ value }) => value === code))) ?? 'en';
}

export function directionOf(language: Language): 'ltr' | 'rtl' {
  return language === 'ar' ? 'rtl' : 'ltr';
}
