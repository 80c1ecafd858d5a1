import { fileURLToPath } from 'node:url';
import react from '@vitejs/plugin-react';
import { defineConfig } from 'vite';

/** Returns the paths that Vite passes on to a control plane at an address. */
export function proxyTo(target: string) {
  const api = { target, changeOrigin: false };
  return { '/api': api, '/docs': api, '/openapi.json': api, '/health': api };
}

/** Builds the page into dist/web of the checkout; `vite -c web/vite.config.ts` serves it beside a local API. */
export default defineConfig({
  root: fileURLToPath(new URL('.', import.meta.url)),
  // The server writes its path into the page (api/http/web.ts); the page's files refer to each other by relative paths.
  base: './',
  plugins: [react()],
  build: {
    outDir: fileURLToPath(new URL('../dist/web', import.meta.url)),
    emptyOutDir: true,
    // Inlined assets would need `data:` in the CSP.
    assetsInlineLimit: 0,
    rolldownOptions: {
      output: {
        // Libraries change rarely. In their own chunk, they stay in the browser's cache when the page changes.
        codeSplitting: {
          groups: [
            { name: 'react', test: /node_modules\/(react|react-dom|scheduler)\// },
            {
              name: 'mantine',
              test: /node_modules\/(@mantine|@floating-ui|clsx|react-remove-scroll|react-transition)/,
            },
            // Zod's setting goes with Zod: it must hold before any chunk makes a schema.
            { name: 'data', test: /node_modules\/(@tanstack|zod)\/|zod-without-eval/ },
          ],
        },
      },
    },
  },
  server: {
    host: '127.0.0.1',
    proxy: proxyTo('http://127.0.0.1:8000'),
  },
});
