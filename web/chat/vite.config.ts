import zopfli from '@gfx/zopfli';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { defineConfig } from 'vite';
import { send, session } from '../../packages/client/src/index.ts';
import type { Session } from '../../packages/client/src/index.ts';
import { gzipOnly } from '../gzip.mts';
import { libraries } from './libraries.plugin.mjs';
import { idOf } from './src/api/known.ts';

const outDir = join(import.meta.dirname, '../dist/chat');

/** What the page asks, for servers that run known documents only: see src/api/known.ts. */
function documents() {
  const generated = readFileSync(join(import.meta.dirname, 'src/api/generated/documents.ts'), 'utf8');
  const ids = JSON.parse(/documentIds[^{]*(\{[^]*?\});/.exec(generated)![1]!) as Record<string, string>;
  const texts = [...generated.matchAll(/^export const (\w+)Document = (".*") as unknown/gm)];
  return Object.fromEntries([
    ...texts.map(([, name, text]) => [`chat:${ids[name!]}`, JSON.parse(text!) as string]),
    ...ofClient().map((text) => [idOf(text), text]),
  ]);
}

/** What @parley/client sends for the page: asked of itself. */
function ofClient(): string[] {
  const sent: string[] = [];
  const never = new Promise<never>(() => {});
  const fetch = (_: unknown, request?: { body?: unknown }) => {
    sent.push((JSON.parse(String(request!.body)) as { query: string }).query);
    // An answer that is waited for would keep the process.
    return Promise.reject(new Error('There is no server.'));
  };
  const { signIn, signUp } = session({ url: 'http://localhost', fetch });
  signIn({ email: '', password: '' }).catch(() => {});
  signUp({ email: '', password: '', name: '' }).catch(() => {});
  const run = (document: string) => (sent.push(document), never);
  void send({ run } as unknown as Session, { content: '' });
  return sent;
}

const known = {
  name: 'known-documents',
  apply: 'build' as const,
  generateBundle(this: { emitFile(file: object): void }) {
    this.emitFile({ type: 'asset', fileName: 'documents.json', source: JSON.stringify(documents(), null, 1) });
  },
};

/** Zopfli: 7 % less than zlib at its best. More iterations are slow, and save next to nothing. */
const gzip = (data: Uint8Array) => zopfli.gzipAsync(data, { numiterations: 2 });

const inBase = new RegExp(
  [
    'node_modules/(react|react-dom|scheduler|urql|@urql|wonka|@0no-co|virtua)/',
    'chat/src/(styles|ui|api)/',
    'packages/client/',
    'src/texts/(en/|index)',
    'preload-helper',
  ].join('|'),
);

const server = process.env.PARLEY_URL ?? 'http://127.0.0.1:8080';

export default defineConfig({
  plugins: [known, libraries, gzipOnly(gzip)],
  // So that the plugin sees them when sources are served, too.
  optimizeDeps: { exclude: ['marked', 'temml'] },
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
    rolldownOptions: {
      output: {
        codeSplitting: {
          // What every part stands on is one file: many small ones are longer together, and have to be asked for.
          groups: [{ name: 'base', test: inBase }],
        },
      },
    },
    license: { fileName: 'licenses.md' },
  },
  worker: { format: 'es' },
  // For developing: the page as it is written, before a server that runs elsewhere.
  server: { proxy: { '/graphql': { target: server, ws: true }, '/session': server } },
});
