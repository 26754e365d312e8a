// The language and the theme of the page, put where the browser and screen readers look for them.
import { useEffect, useState } from 'react';
import type { ReactNode } from 'react';
import { SpokenContext } from '../texts/index.ts';
import type { Spoken as Speech } from '../texts/index.ts';
import en from '../texts/en/index.ts';
import { directionOf, languageOf, textsIn } from '../texts/load.ts';
import { useSetting } from './settings.ts';

export function Spoken({ children }: { children: ReactNode }) {
  const language = useSetting('language') ?? languageOf(navigator.languages);
  const [speech, setSpeech] = useState<Speech | null>(language === 'en' ? { language, texts: en } : null);
  useEffect(() => {
    let isWanted = true;
    void textsIn(language)
      .then((texts) => isWanted && setSpeech({ language, texts }))
      // Without the file English is better than nothing.
      .catch(() => isWanted && setSpeech({ language: 'en', texts: en }));
    return () => void (isWanted = false);
  }, [language]);
  const shown = speech?.language;
  useEffect(() => {
    if (!shown) return;
    document.documentElement.lang = shown;
    document.documentElement.dir = directionOf(shown);
  }, [shown]);
  useTheme();
  return speech && <SpokenContext.Provider value={speech}>{children}</SpokenContext.Provider>;
}

function useTheme() {
  const theme = useSetting('theme');
  useEffect(() => {
    const { dataset } = document.documentElement;
    if (theme === 'system') delete dataset.theme;
    else dataset.theme = theme;
  }, [theme]);
}
