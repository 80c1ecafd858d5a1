import { useEffect, useState } from 'react';

/** How long after the last key what was typed counts, in milliseconds. */
const PAUSE_MS = 250;

/**
 * A text that is kept elsewhere, in the address for example, and typed here: it is told when typing pauses, and follows what is kept
 * when that changes by itself.
 * @param tell called with the text, without spaces at its ends
 */
export function useTyped(kept: string, tell: (text: string) => void): [string, (text: string) => void] {
  const [typed, setTyped] = useState(kept);
  const [known, setKnown] = useState(kept);
  if (kept !== known) {
    setKnown(kept);
    if (kept !== typed.trim()) setTyped(kept);
  }
  useEffect(() => {
    const text = typed.trim();
    if (text === kept) return;
    const timer = setTimeout(() => tell(text), PAUSE_MS);
    return () => clearTimeout(timer);
    // `tell` is made anew with every drawing: only what was typed starts the pause.
    // oxlint-disable-next-line react-hooks/exhaustive-deps
  }, [typed, kept]);
  return [typed, setTyped];
}
