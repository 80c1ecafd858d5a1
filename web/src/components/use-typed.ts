import { useEffect, useEffectEvent, useState } from 'react';

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
  const [told, setTold] = useState(kept);
  if (kept !== known) {
    setKnown(kept);
    setTold(kept);
    // What was told from here is no news, and more may have been typed since.
    if (kept !== told) setTyped(kept);
  }
  const pass = useEffectEvent((text: string) => {
    setTold(text);
    tell(text);
  });
  useEffect(() => {
    const text = typed.trim();
    if (text === kept) return;
    const timer = setTimeout(() => pass(text), PAUSE_MS);
    return () => clearTimeout(timer);
  }, [typed, kept]);
  return [typed, setTyped];
}
