import { useCallback, useEffect, useRef } from 'react';

/**
 * Cancels the requests of a form that closes. Esc, "Cancel" and a click beside it abort what was sent and not
 * answered yet.
 * @returns a function that makes the signal for one request
 */
export function useAbortable(): () => AbortSignal {
  const open = useRef(new Set<AbortController>());
  useEffect(() => {
    const controllers = open.current;
    return () => {
      for (const controller of controllers) controller.abort();
      controllers.clear();
    };
  }, []);
  return useCallback(() => {
    const controller = new AbortController();
    open.current.add(controller);
    return controller.signal;
  }, []);
}
