import { z } from 'zod';
import { EpochMs } from './http/primitives.ts';

/** The state of a runtime's connection to the control plane; the first four fields are the original's. */
export const ControlPlaneConnection = z.strictObject({
  consecutiveFailures: z.number().int().nonnegative(),
  lastSuccess: EpochMs.nullable(),
  lastError: z.string().nullable(),
  connected: z.boolean(),
  /** `open`: after repeated failures, calls are refused for a while; `half-open`: one call tries again. */
  circuit: z.enum(['closed', 'open', 'half-open']),
  /** False when this process is its own control plane, and asks no other. */
  remote: z.boolean(),
});
export type ControlPlaneConnection = z.infer<typeof ControlPlaneConnection>;

/** `POST /api/runtime/config`. A field that is absent, or an empty key, stays as it is. */
export const SaveRuntimeConfig = z
  .strictObject({
    membridge_server_url: z.string().max(512).optional(),
    admin_key: z
      .string()
      .max(512)
      .regex(/^[\x21-\x7e]*$/, 'must be printable ASCII without spaces')
      .optional(),
  })
  .refine(
    ({ membridge_server_url, admin_key }) => membridge_server_url !== undefined || (admin_key ?? '') !== '',
    'name membridge_server_url, admin_key or both',
  );
export type SaveRuntimeConfig = z.infer<typeof SaveRuntimeConfig>;

/** The configured remote control plane, and its state; the first four fields are the original's. */
export const RuntimeConfig = z.strictObject({
  /** Empty when none is configured. */
  membridge_server_url: z.string(),
  /** The first and last four characters, `****` for a short key; empty when none is set. */
  admin_key_masked: z.string(),
  connected: z.boolean(),
  /** When the connection was last tested, epoch ms. */
  last_test: EpochMs.nullable(),
  /** Why the last test failed. */
  last_test_error: z.string().nullable(),
  /** Why the stored key cannot be used. */
  admin_key_problem: z.string().nullable(),
  /** False when this process is its own control plane: the settings are stored but not used. */
  in_use: z.boolean(),
  connection: ControlPlaneConnection,
});
export type RuntimeConfig = z.infer<typeof RuntimeConfig>;

/** A control plane's report about itself: the original's `GET /health`. */
export const ControlPlaneHealth = z.object({
  status: z.string().max(64),
  service: z.literal('membridge-control-plane'),
  version: z.string().max(64),
  projects: z.number().int(),
  agents: z.number().int(),
});
export type ControlPlaneHealth = z.infer<typeof ControlPlaneHealth>;

/** `POST /api/runtime/test-connection`, always with status 200. */
export const TestConnectionResponse = z.discriminatedUnion('connected', [
  z.strictObject({ connected: z.literal(true), health: ControlPlaneHealth }),
  z.strictObject({ connected: z.literal(false), error: z.string() }),
]);
export type TestConnectionResponse = z.infer<typeof TestConnectionResponse>;
