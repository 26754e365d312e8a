import { gzipSync } from 'fflate';
import { join } from 'node:path';
import { defineConfig } from 'vite';
import { gzipOnly } from '../gzip.mts';

const outDir = join(import.meta.dirname, '../dist/chat');

export default defineConfig({
  plugins: [gzipOnly(outDir, gzipSync)],
  // @parley/client as it is written, so that the page needs no build of it.
  resolve: { conditions: ['source', 'module', 'browser', 'development|production'] },
  build: {
    target: 'es2023',
    outDir,
    emptyOutDir: true,
    // Everything under assets/ carries a hash in its name; web.go lets clients keep those for ever.
    assetsDir: 'assets',
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    // What is committed and served is a redistribution: it carries the licences of what it bundles.
    license: { fileName: 'licenses.md' },
  },
  worker: { format: 'es' },
});
