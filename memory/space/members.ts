import { Membership } from '../../contract/memory/membership.ts';
import type { Ledger } from '../ledger/ledger.ts';
import { isValidMembership } from '../format/signing.ts';

/** Ledger entry for the membership, so that it holds from the start of a process. */
const MEMBERSHIP_ENTRY = 'membership';

/** Keeps the latest membership from the control plane, in memory and in the ledger. */
export class Members {
  readonly #controlPublicKey: string;
  #current: Membership | null = null;
  /**
   * The ledger that already stores it. After a restore or a repair, another ledger is open and gets it as
   * well.
   */
  #keptIn: Ledger | null = null;

  /** @param controlPublicKey SPKI DER in base64 */
  constructor(controlPublicKey: string) {
    this.#controlPublicKey = controlPublicKey;
  }

  /** @throws Error when the control plane did not sign it */
  take(membership: Membership): void {
    if (!isValidMembership(membership, this.#controlPublicKey)) {
      throw new Error('the membership is not signed by this control plane');
    }
    this.#current = membership;
    this.#keptIn = null;
  }

  /** Returns the current membership: the last one received, else the one in the ledger. */
  current(ledger: Ledger): Membership | null {
    if (this.#keptIn === ledger) return this.#current;
    if (this.#current === null) this.#current = this.#read(ledger);
    else ledger.setMeta(MEMBERSHIP_ENTRY, JSON.stringify(this.#current));
    this.#keptIn = ledger;
    return this.#current;
  }

  #read(ledger: Ledger): Membership | null {
    const text = ledger.meta(MEMBERSHIP_ENTRY);
    if (typeof text !== 'string') return null;
    const parsed = Membership.safeParse(JSON.parse(text));
    const isValid = parsed.success && isValidMembership(parsed.data, this.#controlPublicKey);
    return isValid ? parsed.data : null;
  }
}
