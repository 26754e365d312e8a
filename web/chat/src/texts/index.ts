// Every word that a person sees. A section a module; a text is a string, or a function of what it says. Other languages
// have the same sections with the same names, and are loaded by need.
import { createContext, useContext } from 'react';
import en from './en/index.ts';

export type Texts = typeof en;

export const languages = ['en', 'de', 'fr', 'es', 'ja', 'zh', 'ar'] as const;

export type Language = (typeof languages)[number];

export interface Spoken {
  language: Language;
  texts: Texts;
}

export const SpokenContext = createContext<Spoken>({ language: 'en', texts: en });

/** useTexts returns the texts in the language of the page. */
export function useTexts(): Texts {
  return useContext(SpokenContext).texts;
}
