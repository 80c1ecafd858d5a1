import { useEffect, useRef, useState } from 'react';
import { withoutChanged, type FormValues } from '../api/problem.ts';

/**
 * Returns what a form shows of a refusal. A field's problem disappears when the field changes. The first refused
 * field gets the focus for each new `error`.
 * @param values what the form would send now, by the API's field names
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
