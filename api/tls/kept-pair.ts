import type { Logger } from 'pino';
import { errorMessage } from '../../contract/errors.ts';
import { checkPair, readTexts, type TlsFiles, type TlsPair } from './pair.ts';

/** How often the files are read again, in milliseconds. Watching them would miss a replaced link, as ACME clients make. */
const CHECK_MS = 2_000;
/** A certificate that ends sooner than this is announced, in milliseconds. */
const ENDS_SOON_MS = 7 * 24 * 60 * 60_000;

/** The pair that the server uses now. */
export interface KeptPair {
  readonly pair: TlsPair;
  /** Calls the listener with each new pair of the files. A broken or unfinished pair is logged, and the old one stays. */
  watch(use: (pair: TlsPair) => void): void;
  stop(): void;
}

/**
 * Reads the server's certificate and key.
 * @throws Error naming the setting whose file is missing, broken, expired or not the other's
 */
export function openPair(files: TlsFiles, logger: Logger, now: () => number = Date.now): KeptPair {
  let texts = readTexts(files);
  let pair = checkPair(files, texts, now());
  let timer: NodeJS.Timeout | undefined;
  let problem: string | null = null;
  let announced: TlsPair | null = null;

  const check = (use: (pair: TlsPair) => void): void => {
    try {
      const read = readTexts(files);
      if (read.cert !== texts.cert || read.key !== texts.key) {
        pair = checkPair(files, read, now());
        texts = read;
        use(pair);
        logger.info(
          { certificate: pair.subject, until: new Date(pair.validUntil) },
          'the TLS certificate was replaced',
        );
      }
      problem = null;
    } catch (error) {
      const reason = errorMessage(error);
      if (reason !== problem)
        logger.warn({ reason }, 'the new TLS files cannot be used; the former certificate stays');
      problem = reason;
    }
    if (announced === pair || pair.validUntil - now() > ENDS_SOON_MS) return;
    announced = pair;
    logger.warn(
      { until: new Date(pair.validUntil), file: files.certFile },
      'the TLS certificate ends soon: renew it',
    );
  };

  return {
    get pair() {
      return pair;
    },
    watch: (use) => {
      check(use);
      timer = setInterval(() => check(use), CHECK_MS);
      timer.unref();
    },
    stop: () => clearInterval(timer),
  };
}
