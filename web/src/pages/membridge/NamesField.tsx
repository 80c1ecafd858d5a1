import { ActionIcon, Button, TextInput } from '@mantine/core';
import { IconArrowRight, IconPlus, IconX } from '@tabler/icons-react';
import { Fragment } from 'react';
import styles from './Settings.module.css';

/** A project's name on a node and in the space, while they are typed. */
export interface Pair {
  readonly id: number;
  readonly local: string;
  readonly space: string;
}

let lastId = 0;
const makePair = (local: string, space: string): Pair => ({ id: (lastId += 1), local, space });

/** Returns the pairs of a node's settings for editing. */
export function toPairs(names: Readonly<Record<string, string>>): Pair[] {
  return Object.entries(names).map(([local, space]) => makePair(local, space));
}

/** Returns the names of the filled pairs, and what is wrong with the others, if anything. */
export function toNames(pairs: readonly Pair[]): { names: Record<string, string>; problem: string | null } {
  const typed = pairs
    .map(({ local, space }) => [local.trim(), space.trim()] as const)
    .filter(([local, space]) => local !== '' || space !== '');
  const names = Object.fromEntries(typed);
  if (typed.some(([local, space]) => local === '' || space === '')) {
    return { names, problem: 'Enter both names of each project.' };
  }
  if (Object.keys(names).length < typed.length) {
    return { names, problem: 'Enter each project of this node only once.' };
  }
  return { names, problem: null };
}

/**
 * The names of a node's projects in the space. claude-mem names a project after its folder, which may differ between
 * machines.
 */
export function NamesField(props: {
  node: string;
  pairs: readonly Pair[];
  problem: string | null;
  onChange: (pairs: Pair[]) => void;
}) {
  const { pairs, onChange } = props;
  const change = (id: number, part: Partial<Pair>) =>
    onChange(pairs.map((each) => (each.id === id ? { ...each, ...part } : each)));
  return (
    <fieldset className={styles.group} data-testid="names">
      <legend>Project names</legend>
      <p>
        Use this when a project’s folder has another name on {props.node} than on the other machines. Rows on{' '}
        {props.node} are never renamed.
      </p>
      {pairs.length > 0 && (
        <div className={styles.names}>
          {pairs.map(({ id, local, space }, index) => (
            <Fragment key={id}>
              <TextInput
                size="xs"
                placeholder={`on ${props.node}`}
                aria-label={`Name ${index + 1} on ${props.node}`}
                value={local}
                onChange={(event) => change(id, { local: event.currentTarget.value })}
                maxLength={128}
                spellCheck={false}
                data-testid={`name-local-${index}`}
              />
              <IconArrowRight size={14} aria-hidden />
              <TextInput
                size="xs"
                placeholder="in the space"
                aria-label={`Name ${index + 1} in the space`}
                value={space}
                onChange={(event) => change(id, { space: event.currentTarget.value })}
                maxLength={128}
                spellCheck={false}
                data-testid={`name-space-${index}`}
              />
              <ActionIcon
                variant="subtle"
                color="gray"
                size={26}
                onClick={() => onChange(pairs.filter((each) => each.id !== id))}
                aria-label={`Remove name ${index + 1}`}
                data-testid={`name-remove-${index}`}
              >
                <IconX size={14} />
              </ActionIcon>
            </Fragment>
          ))}
        </div>
      )}
      {props.problem !== null && (
        <p role="status" data-testid="names-problem">
          {props.problem}
        </p>
      )}
      <div>
        <Button
          variant="default"
          size="compact-xs"
          leftSection={<IconPlus size={12} />}
          onClick={() => onChange([...pairs, makePair('', '')])}
          data-testid="name-add"
        >
          Add a name
        </Button>
      </div>
    </fieldset>
  );
}
