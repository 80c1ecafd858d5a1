import { z } from 'zod';

// The page's CSP forbids eval, which Zod would otherwise probe for. Imported before any schema is made.
z.config({ jitless: true });
