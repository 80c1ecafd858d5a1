import { createHash } from 'node:crypto';
import { Transform, type TransformCallback } from 'node:stream';
import { MembridgeError } from '../../contract/errors.ts';

/** What a caller announces about a body before it sends it; `sha256` is lower-case hex. */
export interface PromisedBody {
  readonly size: number;
  readonly sha256: string;
}

/**
 * Passes a body on and checks it against the announcement. The last chunk passes only once length and digest fit, so
 * a reader never gets a whole body that differs. Otherwise it fails with bad_request.
 */
export class CheckedBody extends Transform {
  readonly #promised: PromisedBody;
  readonly #onPiece: (bytes: number) => void;
  readonly #hash = createHash('sha256');
  #seen = 0;

  /** @param onPiece called for each chunk that arrived, with its size in bytes */
  constructor(promised: PromisedBody, onPiece: (bytes: number) => void) {
    super();
    this.#promised = promised;
    this.#onPiece = onPiece;
  }

  override _transform(piece: Buffer, _encoding: BufferEncoding, done: TransformCallback): void {
    this.#seen += piece.length;
    this.#hash.update(piece);
    this.#onPiece(piece.length);
    const { size } = this.#promised;
    if (this.#seen > size) {
      done(
        new MembridgeError(
          'bad_request',
          `The body is longer than the ${size} bytes that its header announced.`,
        ),
      );
    } else if (this.#seen === size) this.#judge(() => done(null, piece), done);
    else done(null, piece);
  }

  override _flush(done: TransformCallback): void {
    const { size } = this.#promised;
    if (size === 0) this.#judge(() => done(), done);
    else if (this.#seen === size) done();
    else {
      const problem = `The body ended after ${this.#seen} of ${size} bytes. Nothing was stored.`;
      done(new MembridgeError('bad_request', problem));
    }
  }

  #judge(pass: () => void, fail: TransformCallback): void {
    const { sha256 } = this.#promised;
    if (this.#hash.digest('hex') === sha256) return pass();
    const problem = `The SHA-256 of the body is not ${sha256}, as its header says. Nothing was stored.`;
    fail(new MembridgeError('bad_request', problem));
  }
}
