import type { Check, DoctorAnswer } from '../../../../contract/nodes/remote-calls.ts';
import { Ago } from '../../components/Ago.tsx';
import { Status } from '../../components/Status.tsx';
import { counted } from '../../format/numbers.ts';
import type { Tone } from '../../format/words.ts';
import styles from './AskNode.module.css';

/** How a check ended, in the order in which the page lists them. */
const OUTCOMES = ['failed', 'warning', 'ok'] as const;
type Outcome = (typeof OUTCOMES)[number];

const TONES: Readonly<Record<Outcome, Tone>> = { failed: 'bad', warning: 'warn', ok: 'good' };

/** What a node's doctor found: what failed first, each with what to do. */
export function DoctorChecks({ answer, at }: { answer: DoctorAnswer; at: number }) {
  const sorted = answer.checks.toSorted((a, b) => rank(a) - rank(b));
  const failed = sorted.filter((check) => outcomeOf(check) === 'failed').length;
  const warned = sorted.filter((check) => outcomeOf(check) === 'warning').length;
  return (
    <>
      <p className={styles.summary} data-testid="doctor-summary">
        <strong>
          {failed > 0
            ? `${failed} of ${counted(sorted.length, 'check')} failed`
            : warned > 0
              ? `No check failed, ${counted(warned, 'warning')}`
              : `All ${sorted.length} checks are ok`}
        </strong>{' '}
        <span className="dim">
          · checked <Ago at={at} />
        </span>
      </p>
      <ul className={styles.checks} data-testid="doctor-checks">
        {sorted.map((check, index) => (
          <CheckLine key={`${check.name} ${index}`} check={check} />
        ))}
      </ul>
    </>
  );
}

function CheckLine({ check }: { check: Check }) {
  const outcome = outcomeOf(check);
  return (
    <li>
      <div className={styles.name}>
        <span>{check.name}</span>
        <Status tone={TONES[outcome]}>{outcome}</Status>
      </div>
      <p className={outcome === 'ok' ? 'dim' : undefined}>{check.detail}</p>
      {check.fix !== undefined && (
        <p>
          To {check.fix.what}, run <code>membridge doctor --fix</code> on that machine.
        </p>
      )}
    </li>
  );
}

function outcomeOf({ ok, warning }: Check): Outcome {
  if (!ok) return 'failed';
  return warning === true ? 'warning' : 'ok';
}

const rank = (check: Check): number => OUTCOMES.indexOf(outcomeOf(check));
