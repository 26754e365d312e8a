import react from '@vitejs/plugin-react'
import { defineConfig } from 'vite'

const target = process.env['PARLEY_URL'] ?? 'http://127.0.0.1:8080'

export default defineConfig({
  plugins: [react()],
  // The packages of this repository are taken as they are written. Those of a registry need no resolve.
  resolve: {
    alias: [{ find: /^(@parley\/[\w-]+)$/, replacement: `${import.meta.dirname}/node_modules/$1/src/index.ts` }],
    preserveSymlinks: true,
  },
  optimizeDeps: { exclude: ['@parley/ai-sdk', '@parley/client'] },
  server: { proxy: { '/graphql': { target, ws: true } } }, // vite preview takes it too
})
