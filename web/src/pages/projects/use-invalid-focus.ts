import { useEffect, useRef } from 'react';

/** Moves the focus to the first field that was refused, each time that `error` is a new one. */
export function useInvalidFocus(error: Error | null) {
  const form = useRef<HTMLFormElement>(null);
  useEffect(() => {
    if (error === null) return;
    form.current?.querySelector<HTMLElement>('[aria-invalid="true"]')?.focus();
  }, [error]);
  return form;
}
