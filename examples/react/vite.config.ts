import react from '@vitejs/plugin-react'
import { defineConfig } from 'vite'

// The page and the API have one origin, here and behind a reverse proxy: no CORS, and no preflights.
const target = process.env['PARLEY_URL'] ?? 'http://127.0.0.1:8080'

export default defineConfig({
  plugins: [react()],
  server: { proxy: { '/graphql': { target, ws: true } } }, // vite preview takes it too
})
