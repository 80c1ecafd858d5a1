import { z } from 'zod';

// The page's CSP forbids eval, which Zod would otherwise probe for. Import this before any schema is made.
z.config({ jitless: true });
