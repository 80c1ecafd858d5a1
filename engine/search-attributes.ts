import { SearchAttributeType, TypedSearchAttributes, defineSearchAttributeKey } from '@temporalio/common';

const PROJECT = defineSearchAttributeKey('MembridgeProject', SearchAttributeType.KEYWORD);
const NODE = defineSearchAttributeKey('MembridgeNode', SearchAttributeType.KEYWORD);

/** What a workflow can be found by in Temporal. */
export function searchAttributes(of: { project: string; node?: string }): TypedSearchAttributes {
  return new TypedSearchAttributes([
    { key: PROJECT, value: of.project },
    ...(of.node === undefined ? [] : [{ key: NODE, value: of.node }]),
  ]);
}

const TASK = defineSearchAttributeKey('MembridgeTask', SearchAttributeType.KEYWORD);

/** What a task's workflow can be found by in Temporal. */
export function taskAttributes(of: { task: string; project: string | null }): TypedSearchAttributes {
  return new TypedSearchAttributes([
    { key: TASK, value: of.task },
    ...(of.project === null ? [] : [{ key: PROJECT, value: of.project }]),
  ]);
}
