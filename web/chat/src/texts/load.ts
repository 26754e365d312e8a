// The languages of the page, each loaded when it is chosen.
import en from './en/index.ts';
import { languages } from './index.ts';
import type { Language, Texts } from './index.ts';

type Loaded = { default: Texts };

const loaders: Record<Exclude<Language, 'en'>, () => Promise<Loaded>> = {
  de: () => import('./de/index.ts'),
  fr: () => import('./fr/index.ts'),
  es: () => import('./es/index.ts'),
  ja: () => import('./ja/index.ts'),
  zh: () => import('./zh/index.ts'),
  ar: () => import('./ar/index.ts'),
};

/** The languages, each by its own name. */
export const spoken: readonly { value: Language; label: string }[] = [
  { value: 'en', label: 'English' },
  { value: 'de', label: 'Deutsch' },
  { value: 'fr', label: 'Français' },
  { value: 'es', label: 'Español' },
  { value: 'ja', label: '日本語' },
  { value: 'zh', label: '中文' },
  { value: 'ar', label: 'العربية' },
];

export async function textsIn(language: Language): Promise<Texts> {
  return language === 'en' ? en : (await loaders[language]()).default;
}

/** languageOf returns the first language of the browser that there are texts for. */
export function languageOf(wanted: readonly string[]): Language {
  const codes = wanted.map((tag) => tag.split('-')[0]);
  return languages.find((one) => one === codes.find((code) => spoken.some(({ value }) => value === code))) ?? 'en';
}

export function directionOf(language: Language): 'ltr' | 'rtl' {
  return language === 'ar' ? 'rtl' : 'ltr';
}
