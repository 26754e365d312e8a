import { gzipSync } from 'fflate';
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { defineConfig, type Plugin } from 'vite';

const outDir = join(import.meta.dirname, '../dist/graphiql');

/**
 * gzipOnly replaces every file of the build by its gzip form. It compresses in JavaScript with no time stamp,
 * because the zlib of Node gives other bytes on other machines and versions, and the result is committed.
 */
function gzipOnly(): Plugin {
  return {
    name: 'gzip-only',
    apply: 'build',
    closeBundle() {
      for (const entry of readdirSync(outDir, { recursive: true, withFileTypes: true })) {
        if (!entry.isFile()) continue;
        const path = join(entry.parentPath, entry.name);
        writeFileSync(`${path}.gz`, gzipSync(readFileSync(path), { level: 9, mem: 12, mtime: 0 }));
        rmSync(path);
      }
    },
  };
}

export default defineConfig({
  base: './',
  plugins: [gzipOnly()],
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
