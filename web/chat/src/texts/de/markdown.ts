import type { Texts } from '../index.ts';

export const markdown: Texts['markdown'] = {
  code: 'Text',
  codeIn: (language) => `Code, ${language}`,
  copy: 'Kopieren',
  copied: 'Kopiert',
  copyFailed: 'Kopieren nicht möglich',
  wrap: 'Umbrechen',
  table: 'Tabelle',
  image: 'Bild',
  imageNotLoaded: (address) => `Nicht geladen: ${address}`,
  done: 'Erledigt',
  open: 'Offen',
};
