import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';

/** With no time stamp, and not the zlib of Node: it gives other bytes on other machines, and the result is committed. */
type Gzip = (data: Uint8Array) => Uint8Array | Promise<Uint8Array>;

/** gzipOnly replaces every file of a build by its gzip form. */
export function gzipOnly(gzip: Gzip) {
  let outDir = '';
  return {
    name: 'gzip-only',
    apply: 'build' as const,
    configResolved(config: { root: string; build: { outDir: string } }) {
      outDir = resolve(config.root, config.build.outDir);
    },
    async closeBundle() {
      for (const entry of readdirSync(outDir, { recursive: true, withFileTypes: true })) {
        if (!entry.isFile()) continue;
        const path = join(entry.parentPath, entry.name);
        writeFileSync(`${path}.gz`, await gzip(readFileSync(path)));
        rmSync(path);
      }
    },
  };
}
