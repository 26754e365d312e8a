import type { Texts } from '../index.ts';

export const markdown: Texts['markdown'] = {
  code: 'texte',
  codeIn: (language) => `Code, ${language}`,
  copy: 'Copier',
  copied: 'Copié',
  copyFailed: 'Copie impossible',
  wrap: 'Retour à la ligne',
  table: 'Tableau',
  image: 'Image',
  imageNotLoaded: (address) => `Non chargée : ${address}`,
  done: 'Fait',
  open: 'À faire',
};
