// Modules of the page in Node, types and all.
import { join } from 'node:path';
import { after, before } from 'node:test';
import { createServer } from 'vite';

/** withSources calls use before the tests of a file, with what loads a module by its path below src. */
export function withSources(use) {
  let vite;
  before(async () => {
    const root = join(import.meta.dirname, '..');
    vite = await createServer({
      root,
      configFile: join(root, 'vite.config.ts'),
      appType: 'custom',
      logLevel: 'error',
      server: { middlewareMode: true, hmr: false, ws: false, watch: null },
      // As in vite.config.ts, which says so for browsers: @parley/client as it is written.
      ssr: { noExternal: ['@parley/client'], resolve: { conditions: ['source', 'module', 'node', 'development'] } },
      optimizeDeps: { noDiscovery: true, include: [] },
    });
    await use((path) => vite.ssrLoadModule(`/src/${path}`));
  });
  after(() => vite?.close());
}
