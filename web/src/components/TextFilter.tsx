import { TextInput } from '@mantine/core';
import type { ReactNode } from 'react';
import { useTyped } from './use-typed.ts';

/** A text filter that is stored in the address; `undefined` means no filter. */
export function TextFilter(props: {
  label: string;
  /** Whether the label stands above the field, or only in its accessible name. */
  seen: boolean;
  placeholder?: string;
  icon?: ReactNode;
  value: string | undefined;
  onChange: (value: string | undefined) => void;
  maxLength: number;
  className?: string | undefined;
  testId: string;
}) {
  const [typed, setTyped] = useTyped(props.value ?? '', (text) =>
    props.onChange(text === '' ? undefined : text),
  );
  return (
    <TextInput
      size="xs"
      {...(props.seen ? { label: props.label } : { 'aria-label': props.label })}
      placeholder={props.placeholder}
      leftSection={props.icon}
      value={typed}
      onChange={(event) => setTyped(event.currentTarget.value)}
      maxLength={props.maxLength}
      className={props.className}
      spellCheck={false}
      data-testid={props.testId}
    />
  );
}
