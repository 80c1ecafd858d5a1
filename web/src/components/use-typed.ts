import { useEffect, useEffectEvent, useState } from 'react';

/** How long typing must pause before the text counts, in milliseconds. */
const PAUSE_MS = 250;

/**
 * Holds a text that is typed here and stored in another place, such as the address. It reports the text when typing
 * pauses, and follows the stored text when that changes.
 * @param tell called with the text, without spaces at its ends
 */
export function useTyped(kept: string, tell: (text: string) => void): [string, (text: string) => void] {
  const [typed, setTyped] = useState(kept);
  const [known, setKnown] = useState(kept);
  const [told, setTold] = useState(kept);
  if (kept !== known) {
    setKnown(kept);
    setTold(kept);
    // A value that was reported from here is no change, and more may have been typed since.
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
