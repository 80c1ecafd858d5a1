import { AGENT } from './agent-clients.ts';
import { CONTROL_PLANE } from './control-plane-clients.ts';
import type { OriginalRequest } from './request.ts';
import { RUNTIME } from './runtime-clients.ts';

/** Every request of the original's clients, in the order in which they are played: later ones depend on earlier ones. */
export const REQUESTS: readonly OriginalRequest[] = [...CONTROL_PLANE, ...RUNTIME, ...AGENT];
