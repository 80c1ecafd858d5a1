import { TextInput } from '@mantine/core';
import { IconSearch } from '@tabler/icons-react';

/** The field that filters a table by a text. */
export function FilterInput(props: {
  /** What it filters: `nodes`. */
  what: string;
  /** The accessible name, where "Filter nodes" would be ambiguous. */
  label?: string;
  value: string;
  onChange: (typed: string) => void;
  testId: string;
}) {
  const placeholder = `Filter ${props.what}`;
  return (
    <TextInput
      size="xs"
      placeholder={placeholder}
      aria-label={props.label ?? placeholder}
      leftSection={<IconSearch size={14} aria-hidden />}
      value={props.value}
      onChange={(event) => props.onChange(event.currentTarget.value)}
      data-testid={props.testId}
    />
  );
}
