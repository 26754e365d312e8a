import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';

type Gzip = (data: Uint8Array, options: { level: 9; mem: 12; mtime: 0 }) => Uint8Array;

/**
 * gzipOnly replaces every file of a build by its gzip form. It compresses in JavaScript (fflate) with no time stamp,
 * because the zlib of Node gives other bytes on other machines and versions, and the result is committed.
 */
export function gzipOnly(gzip: Gzip) {
  let outDir = '';
  return {
    name: 'gzip-only',
    apply: 'build' as const,
    configResolved(config: { root: string; build: { outDir: string } }) {
      outDir = resolve(config.root, config.build.outDir);
    },
    closeBundle() {
      for (const entry of readdirSync(outDir, { recursive: true, withFileTypes: true })) {
        if (!entry.isFile()) continue;
        const path = join(entry.parentPath, entry.name);
        writeFileSync(`${path}.gz`, gzip(readFileSync(path), { level: 9, mem: 12, mtime: 0 }));
        rmSync(path);
      }
    },
  };
}
