import { sql } from 'drizzle-orm';
import { Client } from 'pg';
import type { Logger } from 'pino';
import { errorMessage } from '../contract/errors.ts';
import type { Database } from '../db/connect.ts';
import { EVENTS_CHANNEL } from '../db/queries/emit-events.ts';
import { readEventRange, readEvents, type NumberedEvent } from '../db/queries/read-events.ts';

/**
 * Receives every event after it subscribed, in order. After a failover the new server may lack events that a listener
 * has received. Then the listener receives `reset`, numbered as the newest event of the new server.
 */
export type EventListener = (event: NumberedEvent) => void;

/** Passes the events of all control planes to the browsers of this one. */
export interface EventHub {
  /** Adds a listener. @returns a function that removes it */
  subscribe(listener: EventListener): () => void;
  /** The number of the last event that listeners received. */
  readonly position: number;
  close(): Promise<void>;
}

/** How long to wait before listening again, in milliseconds. */
const RETRY_MS = 1_000;
/** How many events are read at a time. */
const BATCH = 500;
/** How often the listening connection is probed, and how long it may take to answer, in milliseconds. */
const CHECK_EVERY_MS = 15_000;
const CHECK_DEADLINE_MS = 5_000;

/**
 * Listens for events on its own connection. When that breaks, it opens a new one and reads the missed events from the
 * table, so listeners lose nothing.
 * @param listenUrl the database's address without a pooler: a transaction pooler does not deliver notifications
 * @param checkEveryMs how often the connection is probed
 * @throws MembridgeError database_unavailable when PostgreSQL does not answer now; Error when the address leads to a
 * transaction pooler
 */
export async function openEventHub(
  listenUrl: string,
  db: Database,
  logger: Logger,
  checkEveryMs: number = CHECK_EVERY_MS,
): Promise<EventHub> {
  const hub = new PostgresEventHub(listenUrl, db, logger, checkEveryMs);
  await hub.open();
  return hub;
}

class PostgresEventHub implements EventHub {
  readonly #url: string;
  readonly #db: Database;
  readonly #logger: Logger;
  readonly #checkEveryMs: number;
  #check: NodeJS.Timeout | undefined;
  readonly #listeners = new Set<EventListener>();
  #client: Client | null = null;
  #retry: NodeJS.Timeout | undefined;
  #closed = false;
  #reading: Promise<void> | null = null;
  #mustReadAgain = false;
  /** The last event that listeners received, as it was in the table; null before the first one. */
  #last: NumberedEvent | null = null;

  constructor(url: string, db: Database, logger: Logger, checkEveryMs: number) {
    this.#checkEveryMs = checkEveryMs;
    this.#url = url;
    this.#db = db;
    this.#logger = logger;
  }

  get position(): number {
    return this.#last?.seq ?? 0;
  }

  async open(): Promise<void> {
    this.#last = await this.#newest();
    await this.#connect();
    if (this.#client !== null) await this.#requireNotification(this.#client);
  }

  /** Sends a notification and waits until it arrives. @throws Error naming the setting when it does not */
  async #requireNotification(client: Client): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<true>();
    client.once('notification', () => resolve(true));
    // A connection that broke is opened again, and proves nothing about a pooler.
    client.once('end', () => resolve(true));
    await this.#db.run((executor) => executor.execute(sql`select pg_notify(${EVENTS_CHANNEL}, '')`));
    if (await arrivesInTime(promise)) return;
    await this.close();
    throw new Error(
      'DATABASE_URL leads to a pooler that hands out transactions (PgBouncer): LISTEN hears nothing through it. Set DATABASE_DIRECT_URL to the address of PostgreSQL itself; only one connection uses it.',
    );
  }

  subscribe(listener: EventListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#retry);
    clearTimeout(this.#check);
    this.#listeners.clear();
    await this.#client?.end().catch(() => undefined);
    await this.#reading;
  }

  async #connect(): Promise<void> {
    const client = new Client({
      connectionString: this.#url,
      connectionTimeoutMillis: 5_000,
      keepAlive: true,
      application_name: 'membridge-events',
    });
    let lost = false;
    const onLost = (reason: string): void => {
      if (lost) return;
      lost = true;
      client.end().catch(() => undefined);
      this.#reconnectLater(reason);
    };
    client.on('error', (error) => onLost(error.message));
    client.on('end', () => onLost('the connection ended'));
    client.on('notification', () => this.#catchUp());
    try {
      await client.connect();
      await client.query(`listen ${EVENTS_CHANNEL}`);
    } catch (error) {
      onLost(errorMessage(error));
      return;
    }
    this.#client = client;
    this.#checkLater(client, onLost);
    // Events that were announced before LISTEN took effect.
    this.#catchUp();
  }

  /** Probes the connection later. One whose other end vanished silently looks open for hours. */
  #checkLater(client: Client, onLost: (reason: string) => void): void {
    clearTimeout(this.#check);
    if (this.#closed) return;
    const check = async (): Promise<void> => {
      const answered = client.query('select 1').then(
        () => true as const,
        () => true as const,
      );
      if (!(await arrivesInTime(answered))) return onLost(`no answer within ${CHECK_DEADLINE_MS / 1_000} s`);
      // After a failover this connection may still lead to the old primary, which announces nothing.
      this.#catchUp();
      this.#checkLater(client, onLost);
    };
    this.#check = setTimeout(() => void check(), this.#checkEveryMs);
    this.#check.unref();
  }

  #reconnectLater(reason: string): void {
    if (this.#closed) return;
    this.#logger.warn({ reason }, 'listening for events stopped; trying again');
    clearTimeout(this.#retry);
    this.#retry = setTimeout(() => void this.#connect(), RETRY_MS);
  }

  /** Reads new events and passes them on. A notification that arrives during the read causes one more read. */
  #catchUp(): void {
    this.#mustReadAgain = true;
    this.#reading ??= this.#readAll().finally(() => {
      this.#reading = null;
    });
  }

  async #readAll(): Promise<void> {
    try {
      while (this.#mustReadAgain && !this.#closed) {
        this.#mustReadAgain = false;
        for (;;) {
          const last = this.#last;
          const batch = await readEvents(this.#db, { after: (last?.seq ?? 1) - 1, limit: BATCH });
          // A standby that became primary may lack the old primary's last commits, and may give their numbers to
          // other events.
          if (last !== null && !isSame(batch[0], last)) {
            await this.#beginAgain();
            continue;
          }
          for (const event of last === null ? batch : batch.slice(1)) this.#notifyListeners(event);
          if (batch.length < BATCH) break;
        }
      }
    } catch (error) {
      this.#logger.warn({ reason: errorMessage(error) }, 'events could not be read; trying again');
      setTimeout(() => this.#closed || this.#catchUp(), RETRY_MS).unref();
    }
  }

  #notifyListeners(event: NumberedEvent): void {
    this.#last = event;
    for (const listener of this.#listeners) listener(event);
  }

  /** Makes listeners load everything again, because the table lacks the last event that they received. */
  async #beginAgain(): Promise<void> {
    this.#last = await this.#newest();
    this.#logger.warn(
      { position: this.position },
      'PostgreSQL lacks events that browsers have received, as after a failover; the browsers load everything again',
    );
    for (const listener of this.#listeners) listener({ seq: this.position, event: { type: 'reset' } });
  }

  async #newest(): Promise<NumberedEvent | null> {
    const { last } = await readEventRange(this.#db);
    if (last === null) return null;
    const [newest = null] = await readEvents(this.#db, { after: last - 1, limit: 1 });
    return newest;
  }
}

const isSame = (found: NumberedEvent | undefined, told: NumberedEvent): boolean =>
  found?.seq === told.seq && JSON.stringify(found.event) === JSON.stringify(told.event);

/** Returns whether something arrives within the deadline of a check. */
async function arrivesInTime(coming: Promise<true>): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<false>((resolve) => {
    timer = setTimeout(() => resolve(false), CHECK_DEADLINE_MS);
  });
  return await Promise.race([coming, late]).finally(() => clearTimeout(timer));
}
