import { Client, Connection, WorkflowClient, isGrpcServiceError } from '@temporalio/client';
import { SearchAttributeType, TypedSearchAttributes, defineSearchAttributeKey } from '@temporalio/common';
import proto from '@temporalio/proto';
import { SEARCH_ATTRIBUTES } from '../contract/workflows.ts';
import { MembridgeError, errorMessage } from '../contract/errors.ts';
import { KnownAttributes, attributeInterceptors, waitUntilAccepted } from './known-attributes.ts';

/** The address of Temporal. */
export interface EngineAddress {
  /** host:port of the frontend. */
  readonly address: string;
  readonly namespace: string;
  /** Sent as a bearer token with every call; required by the engine tunnel. */
  readonly secret?: string;
}

/** Returns connection options for both the SDK's client and its worker. */
export function connectionOptions({ address, secret }: Pick<EngineAddress, 'address' | 'secret'>): {
  address: string;
  metadata?: Record<string, string>;
} {
  return secret === undefined ? { address } : { address, metadata: { authorization: `Bearer ${secret}` } };
}

/** A connected Temporal client, and how to close it. */
export interface Engine {
  readonly client: Client;
  readonly address: EngineAddress;
  close(): Promise<void>;
}

/** Time limit for the first connection, in milliseconds. */
const CONNECT_TIMEOUT_MS = 10_000;

/**
 * Connects to Temporal.
 * @throws MembridgeError engine_unavailable, naming the address, when nothing answers there within 10 s
 */
export async function connectEngine(address: EngineAddress): Promise<Engine> {
  try {
    const connection = await Connection.connect({
      ...connectionOptions(address),
      connectTimeout: CONNECT_TIMEOUT_MS,
    });
    const client = new Client({
      connection,
      namespace: address.namespace,
      interceptors: attributeInterceptors(new KnownAttributes()),
    });
    return { client, address, close: () => connection.close() };
  } catch (cause) {
    throw new MembridgeError(
      'engine_unavailable',
      `Temporal does not answer at ${address.address} (TEMPORAL_ADDRESS): ${errorMessage(cause)}`,
      { cause },
    );
  }
}

/** The state of our search attributes in the namespace. */
export interface SearchAttributes {
  /** Missing attributes, and why Temporal did not add them; null when none is missing. */
  readonly absent: { readonly names: readonly string[]; readonly reason: string } | null;
}

/**
 * Registers the search attributes that workflows set, and waits until Temporal accepts a start with them.
 * Leaves existing ones alone, so any number of control planes may call it. Adds none when the namespace lacks
 * room for all missing ones: other applications need its last places, too.
 * @param report receives what the call waits for
 * @throws ServiceError when Temporal does not answer, or still refuses a registered attribute after a minute
 */
export async function prepareSearchAttributes(
  engine: Engine,
  report: (reason: string) => void,
): Promise<SearchAttributes> {
  const { operatorService } = engine.client.connection as Connection;
  const namespace = engine.address.namespace;
  const list = async (): Promise<string[]> =>
    Object.keys((await operatorService.listSearchAttributes({ namespace })).customAttributes);
  let existing: string[] = [];
  let refusal = '';
  try {
    existing = await list();
    const missing = SEARCH_ATTRIBUTES.filter((name) => !existing.includes(name));
    if (missing.length > 0) {
      await operatorService.addSearchAttributes({
        namespace,
        searchAttributes: Object.fromEntries(missing.map((name) => [name, KEYWORD_TYPE])),
      });
      existing = [...existing, ...missing];
    }
  } catch (error) {
    // Another control plane that starts at the same moment may have registered them first.
    if (/already exist/i.test(errorMessage(error))) existing = await list();
    else if (isRefusal(error)) refusal = error.details;
    else throw error;
  }
  const names = SEARCH_ATTRIBUTES.filter((name) => existing.includes(name));
  const probe = new WorkflowClient({ connection: engine.client.connection, namespace });
  const pairs = names.map((name) => ({
    key: defineSearchAttributeKey(name, SearchAttributeType.KEYWORD),
    value: 'probe',
  }));
  await waitUntilAccepted(probe, new TypedSearchAttributes(pairs), report);
  const absent = SEARCH_ATTRIBUTES.filter((name) => !existing.includes(name));
  return { absent: absent.length === 0 ? null : { names: absent, reason: refusal } };
}

const KEYWORD_TYPE = proto.temporal.api.enums.v1.IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD;

/**
 * gRPC statuses of a namespace without room, and of a Temporal that lets clients register no attributes, such
 * as Temporal Cloud: INVALID_ARGUMENT, PERMISSION_DENIED, FAILED_PRECONDITION, UNIMPLEMENTED.
 */
const REFUSAL_STATUSES = new Set([3, 7, 9, 12]);

function isRefusal(error: unknown): error is Error & { code: number; details: string } {
  return isGrpcServiceError(error) && REFUSAL_STATUSES.has(error.code);
}
