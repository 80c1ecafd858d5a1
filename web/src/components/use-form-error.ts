import { useEffect, useRef, useState } from 'react';
import { withoutChanged, type FormValues } from '../api/problem.ts';

/**
 * What a form shows of the answer that refused it. A field's problem goes when the field is changed, and the first refused field gets the
 * focus, each time that `error` is a new one.
 * @param values what the form would send now, under the names of the API's fields
 */
export function useFormError(error: Error | null, values: FormValues) {
  const form = useRef<HTMLFormElement>(null);
  const [refused, setRefused] = useState({ error, values });
  if (refused.error !== error) setRefused({ error, values });
  useEffect(() => {
    if (error === null) return;
    form.current?.querySelector<HTMLElement>('[aria-invalid="true"]')?.focus();
  }, [error]);
  return { form, error: refused.error === error ? withoutChanged(error, refused.values, values) : error };
}
