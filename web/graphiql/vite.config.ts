import { gzipSync } from 'fflate';
import { join } from 'node:path';
import { defineConfig } from 'vite';
import { gzipOnly } from '../gzip.mts';

const outDir = join(import.meta.dirname, '../dist/graphiql');

export default defineConfig({
  base: './',
  plugins: [gzipOnly((data) => gzipSync(data, { level: 9, mem: 12, mtime: 0 }))],
  build: {
    outDir,
    emptyOutDir: true,
    // Everything under assets/ carries a hash in its name; web.go lets clients keep those for ever.
    assetsDir: 'assets',
    chunkSizeWarningLimit: 4_000,
    modulePreload: { polyfill: false },
    // What is committed and served is a redistribution: it carries the licences of what it bundles.
    license: { fileName: 'licenses.md' },
    rolldownOptions: {
      // "use client" and "use memo" mean something to other tools only; the warnings would hide real ones.
      onwarn: (warning, warn) => warning.code !== 'MODULE_LEVEL_DIRECTIVE' && warn(warning),
    },
  },
  worker: { format: 'es' },
});
