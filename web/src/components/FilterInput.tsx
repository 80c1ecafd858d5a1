import { TextInput } from '@mantine/core';
import { IconSearch } from '@tabler/icons-react';

/** The field by which a table is narrowed to the rows that contain what is typed. */
export function FilterInput(props: {
  /** What is looked through: `nodes`. */
  what: string;
  /** What assistive software says, where "Filter nodes" would not tell which. */
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
