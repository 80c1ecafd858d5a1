import './api/zod-without-eval.ts';
import '@mantine/core/styles.layer.css';
import '@mantine/notifications/styles.layer.css';
import './styles/base.css';
import { MantineProvider } from '@mantine/core';
import { Notifications } from '@mantine/notifications';
import { QueryClientProvider } from '@tanstack/react-query';
import { RouterProvider } from '@tanstack/react-router';
import { StrictMode } from 'react';
import { createRoot } from 'react-dom/client';
import { isBelowBasePath, withBasePath } from './api/base-path.ts';
import { cache } from './cache.ts';
import { takeKeyFromAddress } from './pages/signin/key-in-address.ts';
import { router } from './router.tsx';
import { theme } from './styles/theme.ts';

// Before the router reads the address: the key must get into neither its state nor the browser's history.
takeKeyFromAddress();

const root = document.getElementById('root');
if (root === null) throw new Error('index.html has no element with the id "root".');

const { pathname, search, hash } = window.location;
if (isBelowBasePath(pathname)) {
  createRoot(root).render(
    <StrictMode>
      <MantineProvider theme={theme} defaultColorScheme="auto">
        <QueryClientProvider client={cache}>
          <Notifications position="bottom-right" limit={4} autoClose={6_000} />
          <RouterProvider router={router} />
        </QueryClientProvider>
      </MantineProvider>
    </StrictMode>,
  );
} else {
  window.location.replace(`${withBasePath(pathname)}${search}${hash}`);
}
