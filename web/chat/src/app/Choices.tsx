// How the page looks and speaks, on this device.
import { useTexts } from '../texts/index.ts';
import type { Language } from '../texts/index.ts';
import { spoken } from '../texts/load.ts';
import { Listbox } from '../ui/Listbox.tsx';
import { setSetting, useSetting } from './settings.ts';

export function ThemeChoice() {
  const texts = useTexts().app.settings;
  const options = (['system', 'light', 'dark'] as const).map((value) => ({ value, label: texts[value] }));
  const choose = (value: 'system' | 'light' | 'dark') => setSetting('theme', value);
  return <Listbox label={texts.theme} icon="sun" value={useSetting('theme')} options={options} onChange={choose} />;
}

export function LanguageChoice() {
  const texts = useTexts().app.settings;
  const options = [{ value: '' as Language | '', label: texts.byBrowser }, ...spoken];
  const choose = (value: Language | '') => setSetting('language', value || null);
  return (
    <Listbox
      label={texts.language}
      icon="globe"
      value={useSetting('language') ?? ''}
      options={options}
      onChange={choose}
    />
  );
}

export function AnnounceChoice() {
  const texts = useTexts().app.settings;
  const options = [
    { value: 'all' as const, label: texts.announceAll },
    { value: 'end' as const, label: texts.announceEnd },
    { value: 'nothing' as const, label: texts.announceNothing },
  ];
  const choose = (value: 'all' | 'end' | 'nothing') => setSetting('announce', value);
  return <Listbox label={texts.announce} value={useSetting('announce')} options={options} onChange={choose} />;
}
