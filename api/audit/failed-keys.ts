import { errorMessage } from '../../contract/errors.ts';
import { newEventKey, recordAudit } from '../../db/queries/record-audit.ts';
import type { Deps } from '../deps.ts';
import { FAILURES_PER_ADDRESS, type KeyFailure } from '../auth/failed-sign-ins.ts';

/** The most entries a minute: an attacker with many addresses must not fill the log. */
const ENTRIES_PER_MINUTE = 20;

/**
 * Makes a function that records wrong keys in the audit log. It records the first one from an address in a minute,
 * and the moment at which the address is limited.
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
        ? `${count} wrong keys from ${address} in a minute; further ones are refused without a check until the minute is over`
        : `a wrong key or enrolment token from ${address}`,
      cause: 'a request used a wrong key',
      correlation_id: address,
      timestamp,
    };
    db.run((sql) => recordAudit(sql, [entry])).catch((error: unknown) =>
      logger.warn({ address, reason: errorMessage(error) }, 'the audit log could not record a wrong key'),
    );
  };
}
