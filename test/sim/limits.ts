/**
 * What the simulation leaves out because the sync is known not to bear it yet. Each is a bug: when it is mended, the
 * line goes, and with it the place that reads it.
 */
export const LEFT_OUT = {
  /** A true twin of an observation from tables without content_hash collapses on newer ones. */
  twinObservationsWithoutHash: true,
  /** A clock that goes back: what waits, waits until the old time comes again, and so does the next full listing. */
  clocksThatJump: true,
  /** A node whose published certificates were damaged can never push again. */
  damagedCertificates: true,
  /**
   * Rows that a pull inserted count as unseen until the next scan: when they are deleted, or the database is put back to
   * an older state, before that, the ledger does not notice, or tells of deletions that nobody made.
   */
  lossesBeforeTheNextScan: true,
  /** A node that sends all of its own again, because the store lost some, leaves out what peers have written too. */
  healingOfSharedSessions: true,
  /** The canonical hash counts manual sessions and stub sessions of prompts on some machines only. */
  canonicalHashOfStubs: true,
} as const;
