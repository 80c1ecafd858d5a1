import { errorMessage } from '../../contract/errors.ts';
import { newEventKey, recordAudit } from '../../db/queries/record-audit.ts';
import type { Deps } from '../deps.ts';
import { FAILURES_PER_ADDRESS, type KeyFailure } from '../auth/failed-sign-ins.ts';

/** Entries a minute at most: who has many addresses must not fill the log. */
const ENTRIES_PER_MINUTE = 20;

/**
 * Gives what writes wrong keys into the audit log: the first one of an address in a minute, and when the address is limited.
 */
export function recordFailedKeys({
  db,
  logger,
  now,
}: Pick<Deps, 'db' | 'logger' | 'now'>): (failure: KeyFailure) => void {
  let minute = 0;
  let written = 0;
  return ({ address, count }) => {
    if (count !== 1 && count !== FAILURES_PER_ADDRESS) return;
    const timestamp = now();
    if (Math.floor(timestamp / 60_000) !== minute) [minute, written] = [Math.floor(timestamp / 60_000), 0];
    written += 1;
    if (written > ENTRIES_PER_MINUTE) return;
    const isLimited = count === FAILURES_PER_ADDRESS;
    const action = isLimited ? 'keys_limited' : 'key_refused';
    const entry = {
      eventKey: newEventKey(action),
      action,
      entity_type: 'session' as const,
      entity_id: address,
      actor: 'engine',
      detail: isLimited
        ? `${count} wrong keys from ${address} in a minute; more are refused unseen until it is over`
        : `a wrong key or enrolment token from ${address}`,
      cause: 'a request gave a key that is not right',
      correlation_id: address,
      timestamp,
    };
    db.run((sql) => recordAudit(sql, [entry])).catch((error: unknown) =>
      logger.warn({ address, reason: errorMessage(error) }, 'a wrong key could not be recorded'),
    );
  };
}
