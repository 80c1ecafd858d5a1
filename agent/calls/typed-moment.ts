import { describeTime, machineZone, parsePastTime, TypedTimeError } from '../../contract/http/typed-time.ts';
import { UsageError } from './engine-call.ts';

/**
 * Reads a past time from the command line, in this machine's time zone where it has no offset.
 * @param option the option that it follows, such as `--since`
 * @returns epoch ms
 * @throws UsageError when it does not name one moment, saying why and how to write it
 */
export function readMoment(option: string, text: string): number {
  try {
    return parsePastTime(text, { zone: machineZone(), now: Date.now() });
  } catch (error) {
    if (error instanceof TypedTimeError) throw new UsageError(`${option}: ${error.message}`);
    throw error;
  }
}

/** Formats a moment as this machine's clock and UTC show it. */
export const formatMoment = (time: number): string => describeTime(time, machineZone());

/** The help text about times. */
export const TIME_HELP = `TIME is "2026-11-22 18:00" or "2026-11-22 18:00:30" (this machine's time zone), the same with an offset ("… +01:00",
"2026-11-22T18:00:00Z"), or "90m ago", "2h ago", "3d ago" (a day is 24 hours). A local time that a change of the clocks
skips or repeats is refused; add an offset then.`;
