import { NumberInput, Select, Switch, TagsInput, TextInput } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import type { ReactNode } from 'react';
import type { Node } from '../../../../contract/nodes/nodes.ts';
import { findFieldProblem } from '../../api/problem.ts';
import { projectsQuery } from '../../api/project-queries.ts';
import { spacesQuery } from '../../api/queries.ts';
import { FoldedOptions } from '../../components/FoldedOptions.tsx';
import { compareNames } from '../../format/order.ts';
import { OPTION_FIELDS, type ProjectDraft } from './project-draft.ts';
import { listTags } from './project-list.ts';

type Change = (part: Partial<ProjectDraft>) => void;

/** A project's settings; `error` marks the fields that the API refused. */
export function ProjectFields(props: {
  draft: ProjectDraft;
  onChange: Change;
  error: Error | null;
  fleet: readonly Node[];
  /** The note below the field of the name. */
  nameNote?: string;
  /** What stands between the address and the options. */
  children?: ReactNode;
  /** Whether the options are expanded at first. */
  unfolded: boolean;
}) {
  const { draft, onChange, error } = props;
  const wrong = OPTION_FIELDS.some((field) => findFieldProblem(error, field) !== null);
  return (
    <>
      <TextInput
        label="Repository address"
        description="https://host/path, ssh://user@host/path or user@host:path. Without a password or token."
        placeholder="https://git.example.org/team/project.git"
        value={draft.repoUrl}
        onChange={(event) => onChange({ repoUrl: event.currentTarget.value })}
        error={findFieldProblem(error, 'repo_url')}
        required
        maxLength={1_024}
        spellCheck={false}
        autoComplete="off"
        classNames={{ input: 'mono' }}
        data-autofocus
        data-testid="project-repo"
      />
      {props.children}
      <TextInput
        label="Name"
        description={props.nameNote}
        value={draft.name}
        onChange={(event) => onChange({ name: event.currentTarget.value })}
        error={findFieldProblem(error, 'name')}
        required
        maxLength={128}
        spellCheck={false}
        autoComplete="off"
        data-testid="project-name-field"
      />
      <FoldedOptions wrong={wrong} unfolded={props.unfolded} testId="project-options-toggle">
        <Options draft={draft} onChange={onChange} error={error} fleet={props.fleet} />
      </FoldedOptions>
    </>
  );
}

function Options(props: {
  draft: ProjectDraft;
  onChange: Change;
  error: Error | null;
  fleet: readonly Node[];
}) {
  const { draft, onChange, error } = props;
  const spaces = useQuery(spacesQuery).data ?? [];
  const projects = useQuery(projectsQuery).data ?? [];
  const nodes = props.fleet.map(({ id }) => id).sort(compareNames);
  // A removed node or space stays the setting until another one is chosen.
  const known = draft.primary !== null && !nodes.includes(draft.primary) ? [draft.primary, ...nodes] : nodes;
  const spaceChoices = spaces
    .map(({ canonical_id, name }) => ({ value: canonical_id, label: name }))
    .sort((a, b) => compareNames(a.label, b.label));
  const gone = draft.space !== null && !spaceChoices.some(({ value }) => value === draft.space);
  return (
    <>
      <TextInput
        label="Branch"
        placeholder="the remote’s default"
        value={draft.branch}
        onChange={(event) => onChange({ branch: event.currentTarget.value })}
        error={findFieldProblem(error, 'branch')}
        spellCheck={false}
        data-testid="project-branch"
      />
      <NumberInput
        label="Depth"
        placeholder="the whole history"
        value={draft.depth}
        onChange={(depth) => onChange({ depth })}
        error={findFieldProblem(error, 'depth')}
        min={1}
        max={1_000_000}
        allowDecimal={false}
        hideControls
        data-testid="project-depth"
      />
      <TextInput
        label="Target path"
        description="Inside the node’s folder of repositories."
        placeholder="the project’s name"
        value={draft.targetPath}
        onChange={(event) => onChange({ targetPath: event.currentTarget.value })}
        error={findFieldProblem(error, 'target_path')}
        spellCheck={false}
        data-testid="project-path"
      />
      <Select
        label="Primary node"
        description="The node that clones it first."
        placeholder="none"
        data={known}
        value={draft.primary}
        onChange={(primary) => onChange({ primary })}
        error={findFieldProblem(error, 'primary_node_id')}
        clearable
        searchable={known.length > 12}
        limit={100}
        data-testid="project-primary"
      />
      <Select
        label="Memory space"
        description="The memory that belongs to it."
        placeholder="the space with its name"
        data={gone ? [...spaceChoices, { value: draft.space, label: draft.space }] : spaceChoices}
        value={draft.space}
        onChange={(space) => onChange({ space })}
        error={findFieldProblem(error, 'space')}
        clearable
        data-testid="project-space"
      />
      <TagsInput
        label="Tags"
        description="Labels for finding it."
        data={listTags(projects)}
        value={[...draft.tags]}
        onChange={(tags) => onChange({ tags })}
        error={findFieldProblem(error, 'tags')}
        maxTags={32}
        comboboxProps={{ portalProps: { target: '#main' } }}
        data-testid="project-tags"
      />
      <Switch
        label="Submodules"
        description="Also clones submodules."
        checked={draft.submodules}
        onChange={(event) => onChange({ submodules: event.currentTarget.checked })}
        data-testid="project-submodules"
      />
      <Switch
        label="New nodes join"
        description="A node that enrols later gets a clone automatically."
        checked={draft.newNodes}
        onChange={(event) => onChange({ newNodes: event.currentTarget.checked })}
        data-testid="project-new-nodes"
      />
    </>
  );
}
