import type { Texts } from '../index.ts';

export const hood: Texts['hood'] = {
  title: 'Sous le capot',
  close: 'Fermer',
  clear: 'Vider',
  filter: 'Filtrer',
  empty: 'Rien pour l’instant. Envoyez un message et voyez ce qui passe sur la ligne.',
  variables: 'Variables',
  answer: 'Réponse',
  copyCurl: 'Copier en curl',
  copied: 'Copié',
  copyFailed: 'Copie impossible',
  openGraphiql: 'Ouvrir GraphiQL',
  more: (n) => `${n} de plus`,
};
