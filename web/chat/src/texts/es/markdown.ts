import type { Texts } from '../index.ts';

export const markdown: Texts['markdown'] = {
  code: 'texto',
  codeIn: (language) => `Código, ${language}`,
  copy: 'Copiar',
  copied: 'Copiado',
  copyFailed: 'No se pudo copiar',
  wrap: 'Ajustar líneas',
  table: 'Tabla',
  image: 'Imagen',
  imageNotLoaded: (address) => `No cargada: ${address}`,
  done: 'Hecho',
  open: 'Pendiente',
};
