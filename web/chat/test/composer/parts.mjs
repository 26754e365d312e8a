// Loads the modules of the page into Node, types and all.
import { join } from 'node:path';
import { runnerImport } from 'vite';

const client = join(import.meta.dirname, '../../../../packages/client/src/index.ts');

export const { module: parts } = await runnerImport(join(import.meta.dirname, 'parts.ts'), {
  resolve: { alias: { '@parley/client': client } },
  logLevel: 'error',
});
