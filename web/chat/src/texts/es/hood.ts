import type { Texts } from '../index.ts';

export const hood: Texts['hood'] = {
  title: 'Bajo el capó',
  close: 'Cerrar',
  clear: 'Vaciar',
  filter: 'Filtrar',
  empty: 'Nada todavía. Envía un mensaje y mira lo que pasa por la línea.',
  variables: 'Variables',
  answer: 'Respuesta',
  copyCurl: 'Copiar como curl',
  copied: 'Copiado',
  copyFailed: 'No se pudo copiar',
  openGraphiql: 'Abrir GraphiQL',
  more: (n) => `${n} más`,
};
