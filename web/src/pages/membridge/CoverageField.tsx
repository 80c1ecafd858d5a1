import { SegmentedControl, Textarea } from '@mantine/core';
import { useState } from 'react';
import { parseNames } from './project-lines.ts';
import styles from './Settings.module.css';

const CHOICES = [
  { value: 'all', label: 'Every project' },
  { value: 'some', label: 'Named projects' },
];

/**
 * Holds the projects that a space covers, as a form edits them.
 * @returns the field's state, and the projects for the API (none while none was typed)
 */
export function useCoverage(projects: readonly string[]) {
  const all = projects.includes('*');
  const [choice, setChoice] = useState(all ? 'all' : 'some');
  const [typed, setTyped] = useState(all ? '' : projects.join('\n'));
  return { choice, setChoice, typed, setTyped, projects: choice === 'all' ? ['*'] : parseNames(typed) };
}

/** Every project, or named ones. `prefix` is the prefix of the test ids. */
export function CoverageField(props: { coverage: ReturnType<typeof useCoverage>; prefix: string }) {
  const { coverage, prefix } = props;
  return (
    <>
      <div className={styles.covers}>
        <span id={`${prefix}-covers`}>Covers</span>
        <SegmentedControl
          data={CHOICES}
          value={coverage.choice}
          onChange={coverage.setChoice}
          aria-labelledby={`${prefix}-covers`}
          fullWidth
          data-testid={`${prefix}-covers`}
        />
      </div>
      {coverage.choice === 'some' && (
        <Textarea
          label="Projects"
          description="Names of claude-mem projects, one a line."
          value={coverage.typed}
          onChange={(event) => coverage.setTyped(event.currentTarget.value)}
          required
          autosize
          minRows={3}
          maxRows={10}
          spellCheck={false}
          classNames={{ input: 'mono' }}
          data-testid={`${prefix}-projects`}
        />
      )}
    </>
  );
}
