import { Client, Connection } from '@temporalio/client';
import proto from '@temporalio/proto';
import { SEARCH_ATTRIBUTES } from '../contract/workflows.ts';
import { MembridgeError, errorMessage } from '../contract/errors.ts';

/** Where Temporal is. */
export interface EngineAddress {
  /** host:port of the frontend. */
  readonly address: string;
  readonly namespace: string;
}

/** A connected Temporal client, and the way to end it. */
export interface Engine {
  readonly client: Client;
  readonly address: EngineAddress;
  close(): Promise<void>;
}

/** How long the first connection may take, in milliseconds. */
const CONNECT_TIMEOUT_MS = 10_000;

/**
 * Connects to Temporal.
 * @throws MembridgeError engine_unavailable, naming the address, when nothing answers there within 10 s
 */
export async function connectEngine(address: EngineAddress): Promise<Engine> {
  try {
    const connection = await Connection.connect({
      address: address.address,
      connectTimeout: CONNECT_TIMEOUT_MS,
    });
    const client = new Client({ connection, namespace: address.namespace });
    return { client, address, close: () => connection.close() };
  } catch (cause) {
    throw new MembridgeError(
      'engine_unavailable',
      `Temporal does not answer at ${address.address} (TEMPORAL_ADDRESS): ${errorMessage(cause)}`,
      { cause },
    );
  }
}

/**
 * Registers the search attributes that workflows set, in the engine's namespace. Those that exist are left alone,
 * so any number of control planes may call it.
 */
export async function registerSearchAttributes(engine: Engine): Promise<void> {
  const { operatorService } = engine.client.connection as Connection;
  const namespace = engine.address.namespace;
  const existing = await operatorService.listSearchAttributes({ namespace });
  const missing = SEARCH_ATTRIBUTES.filter((name) => !(name in existing.customAttributes));
  if (missing.length === 0) return;
  const keyword = proto.temporal.api.enums.v1.IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD;
  try {
    await operatorService.addSearchAttributes({
      namespace,
      searchAttributes: Object.fromEntries(missing.map((name) => [name, keyword])),
    });
  } catch (error) {
    // Another control plane that starts at the same moment may have been first.
    if (!/already exist/i.test(errorMessage(error))) throw error;
  }
}
