import type { Texts } from '../index.ts';

export const hood: Texts['hood'] = {
  title: 'Unter der Haube',
  close: 'Schließen',
  clear: 'Leeren',
  filter: 'Filtern',
  empty: 'Noch nichts. Senden Sie eine Nachricht und sehen Sie, was über die Leitung geht.',
  variables: 'Variablen',
  answer: 'Antwort',
  copyCurl: 'Als curl kopieren',
  copied: 'Kopiert',
  copyFailed: 'Kopieren nicht möglich',
  openGraphiql: 'GraphiQL öffnen',
  more: (n) => `${n} weitere`,
};
